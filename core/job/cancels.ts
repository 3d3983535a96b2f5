import { LIMITS } from "../contract/limits.ts";
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
  /** The wish's number: later wishes for the same id have higher ones. Absent where an older build put the marker. */
  readonly seq?: number;
  /** The last life (its `enqueuedAt`) that somebody was told of. */
  readonly hitLife?: number;
  /** A person has retried the job since: what it still hits are copies from before. Absent where an older build did. */
  readonly pardoned?: true;
}

/** Whether the marker ends this job: a life of the id that was enqueued before, unless a person has retried it since. */
export function hits(mark: CancelMark, envelope: Envelope): boolean {
  const { id, enqueued_at, queue_key } = envelope;
  const isMeant = mark.at === EVERY_LIFE ? queue_key !== ownIdKey(id) : enqueued_at < mark.at;
  return isMeant && !isPardoned(mark, envelope);
}

/**
 * The wish that the retry found, or an earlier one, which is all that some task may have heard of. n.b. an older build's wish
 * leaves the marker's number as it is: of two with the same number only the one that is named is overruled.
 */
function isPardoned({ rev, seq }: CancelMark, { pardoned, pardoned_seq }: Envelope): boolean {
  return pardoned === rev || (seq !== undefined && pardoned_seq !== undefined && seq < pardoned_seq);
}

/** What a person's retry says of the marker that it found, or of all that had lapsed by now. */
export function pardonOf(mark: Pick<CancelMark, "rev" | "seq"> | undefined, now: number): Pick<Envelope, "pardoned" | "pardoned_seq"> {
  // Numbers begin at epoch ms. What has lapsed was put more than 7 days ago, and a task may know it still; half of that is room
  // for clocks that differ.
  const { rev, seq = now - LIMITS.cancelKeepMs / 2 } = mark ?? {};
  return { ...(rev === undefined ? {} : { pardoned: rev }), pardoned_seq: seq };
}

/** Cancel markers of a partition; each is forgotten after 7 days. */
export interface CancelStore {
  /**
   * Puts the marker; one that is there keeps whom it hit, gets the newer time, and a new `rev` and the next `seq` in any case.
   * A new marker's `seq` is epoch ms: above that of one that has lapsed.
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
  /**
   * A person's retry overrules the wish with this `rev`: the marker says so until the next wish. For people only; what the marker
   * hits, envelopes say. Does nothing to the marker of another wish.
   */
  pardon(partition: string, id: string, rev: string): Promise<void>;
}
