/** The last time that ISO 8601 can say without a sign, epoch ms. */
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** n.b. times in messages are other programs' work: a number that is no date must not fail an answer. */
export function time(epochMs: number): string {
  return new Date(Number.isFinite(epochMs) ? Math.min(LAST, Math.max(0, epochMs)) : 0).toISOString();
}

export function timeOrNull(epochMs: number | undefined): string | null {
  return epochMs === undefined ? null : time(epochMs);
}
