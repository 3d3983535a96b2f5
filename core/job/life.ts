/**
 * One life of a job: its id and when it was enqueued. An id of a caller's own may be enqueued again once the end of the job
 * that had it is forgotten, and what is written about that one must never be taken for the new one's.
 *
 * Lives of one id only rise: the second is enqueued an hour after the first has ended, and clocks differ by less than that.
 * So of two, the one enqueued later is alive, and all that is left of the other is a copy.
 */
export interface JobLife {
  readonly job: string;
  /** Epoch ms of its first enqueueing; a retry does not move it. */
  readonly enqueuedAt: number;
}

export function lifeOf({ id, enqueued_at }: { readonly id: string; readonly enqueued_at: number }): JobLife {
  return { job: id, enqueuedAt: enqueued_at };
}

/** Whether what is written about an id is of this life. An item of an older build does not tell: then it is. */
export function isOfLife(found: { readonly enqueuedAt?: number }, { enqueuedAt }: { readonly enqueuedAt: number }): boolean {
  return found.enqueuedAt === undefined || found.enqueuedAt === enqueuedAt;
}

/** The life that an envelope's body tells of; `undefined` for what is no job. For items that do not tell themselves. */
export function enqueuedAtIn(body: string): number | undefined {
  try {
    const { enqueued_at } = Object(JSON.parse(body)) as { enqueued_at?: unknown };
    return Number.isSafeInteger(enqueued_at) ? (enqueued_at as number) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Where a job has come to: what is written of a later attempt, or of a later life, goes before. */
export interface JobStage {
  readonly enqueuedAt: number;
  readonly attempt: number;
}

/** A stage as an item tells it: that of an older build does not tell the life. */
export type ToldStage = Pick<JobStage, "attempt"> & Partial<JobStage>;

/** Above 0: the first is later, by its life or else by its attempt. */
export function compareStages(one: ToldStage, other: ToldStage): number {
  const { enqueuedAt = other.enqueuedAt ?? 0 } = one;
  return enqueuedAt - (other.enqueuedAt ?? enqueuedAt) || one.attempt - other.attempt;
}

export function isLater(one: JobStage, other: JobStage): boolean {
  return compareStages(one, other) > 0;
}
