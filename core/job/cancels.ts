import type { Envelope } from "./envelope.ts";
import type { JobLife } from "./life.ts";
import { ownIdKey } from "./own-id.ts";

/**
 * The time of a marker for an id of ours, which is enqueued once. A caller's own id may look like one of ours; a marker for
 * that one has the time of a life (core/job/cancel.ts), which is newer than this.
 */
export const EVERY_LIFE = 0;

/** A wish that a job end: seen by whoever has the job in hands. */
export interface CancelMark {
  readonly id: string;
  /** Epoch ms: hits a life that was enqueued before. `EVERY_LIFE`: hits all but callers' own ids. */
  readonly at: number;
  /** Tells this wish from an earlier one for the same id. */
  readonly rev: string;
  /** The last life (its `enqueuedAt`) that somebody was told of. */
  readonly hitLife?: number;
}

/** Whether the marker ends this job: a life of the id that was enqueued before, unless a person has retried it since. */
export function hits({ at, rev }: CancelMark, { id, enqueued_at, queue_key, pardoned }: Envelope): boolean {
  const isMeant = at === EVERY_LIFE ? queue_key !== ownIdKey(id) : enqueued_at < at;
  return isMeant && pardoned !== rev;
}

/** Cancel markers of a partition; each is forgotten after 7 days. */
export interface CancelStore {
  /**
   * Puts the marker; one that is there keeps whom it hit, gets the newer time, and a new `rev` in any case.
   * @returns `false` when the partition has 10,000 already: nothing was written
   */
  mark(partition: string, id: string, at: number): Promise<boolean>;
  /** All that have not lapsed, strongly consistent. */
  list(partition: string): Promise<CancelMark[]>;
  get(partition: string, id: string): Promise<CancelMark | undefined>;
  /**
   * This life was cancelled by this very caller: for one ever. The marker stays, so that late copies are dropped, too.
   * @param by who asks; the same may ask again, and is told the same
   * @returns whether this caller is the first; `false` also when there is no marker that hits the life, or a later life was hit
   */
  hit(partition: string, life: JobLife, by: string): Promise<boolean>;
}
