import type { Due, DueRef, ParkedStore } from "../core/job/parked.ts";

/** Keys of due jobs that are read from one end of one key of the index at once: 130 bytes each, so 17 read units for a full page. */
const PAGE = 1_000;

/**
 * What there is to do at one key of the index: those that have been due for longest and, when there may be more, those that
 * fell due last. A job is among the newest as it falls due, the outbox's when it is written, and a key of the index takes
 * about 1,000 writes a second: so the looks that a pump makes, two a second, see a job at least once however many are
 * before it. The exceptions are jobs due in the very same millisecond as a thousand others, and those that fell due in the
 * midst of a flood while no pump was looking: they come up as what is older gets done.
 * @returns `full`: there may be more than this
 */
export async function lookAt(parked: Pick<ParkedStore, "due">, shard: number, now: number): Promise<{ due: Due[]; full: boolean }> {
  const oldest = await parked.due(shard, now, PAGE);
  if (oldest.length < PAGE) return { due: oldest, full: false };
  const known = new Set(oldest.map(dueName));
  const newest = await parked.due(shard, now, PAGE, "newest");
  return { due: [...oldest, ...newest.filter((due) => !known.has(dueName(due)))], full: true };
}

/**
 * In which order due jobs are brought: the partitions take turns, each with its own oldest first. Among the partitions those
 * come first whose last turn is longest ago, then those with the oldest job.
 * @param lastTurn partition -> a number that is higher the later its last turn was
 */
export function inTurns(due: readonly Due[], lastTurn: ReadonlyMap<string, number> = new Map()): Due[] {
  const lines = new Map<string, Due[]>();
  for (const each of [...due].sort((a, b) => a.at - b.at)) {
    const line = lines.get(each.ref.partition);
    if (line === undefined) lines.set(each.ref.partition, [each]);
    else line.push(each);
  }
  const waiting = [...lines].sort(([a], [b]) => (lastTurn.get(a) ?? -1) - (lastTurn.get(b) ?? -1)).map(([, line]) => line);
  const order: Due[] = [];
  for (let round = 0, left = waiting; left.length > 0; round++) {
    for (const line of left) order.push(line[round] as Due);
    left = left.filter((line) => line.length > round + 1);
  }
  return order;
}

/** Unique among all that is due. */
export function dueName(due: DueRef): string {
  return due.kind === "parked" ? `${due.ref.partition}/${due.ref.id}` : `${due.ref.partition}//${due.ref.hash}`;
}
