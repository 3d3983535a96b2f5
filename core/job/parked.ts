import type { QueueKeyHandle } from "../keys/queue-key-ref.ts";
import { type Envelope, encodeEnvelope } from "./envelope.ts";
import type { JobLife, JobStage } from "./life.ts";

/**
 * Why a parked job waits.
 *
 * | reason | until |
 * |---|---|
 * | `outbox` | the pump publishes it, at once |
 * | `delayed`, `retry`, `snoozed` | its time has come |
 * | `waiting` | its execution key is free, or a run of its own that still holds a key has ended |
 * | `unknown_name` | a worker knows its name |
 * | `suspect` | no other job that may have killed its worker runs in the task |
 * | `long` | it does not wait: it runs, for so long that its message had to be acked; `due` passes only if its run dies |
 * | `cancelled` | a worker frees its keys and forgets it; it never runs again |
 */
export type ParkedReason = "outbox" | "delayed" | "retry" | "snoozed" | "waiting" | "unknown_name" | "suspect" | "long" | "cancelled";

/** A job that waits in DynamoDB for a time. Every parked job has a `due`: a lost wake-up costs time, never a job. */
export interface ParkedJob {
  readonly partition: string;
  readonly id: string;
  /** Which life of the id it is, see core/job/life.ts: epoch ms. */
  readonly enqueuedAt: number;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly reason: ParkedReason;
  /** When the pump publishes it, epoch ms. */
  readonly due: number;
  /** When it was parked for this reason first, epoch ms. */
  readonly since: number;
  /** The whole envelope, encoded: what the pump publishes. */
  readonly body: string;
  /** The run that holds it; only `long` jobs have one. */
  readonly run?: string;
  /** A pump has taken it and may have published it already; ends when it is parked, postponed or cancelled anew. */
  readonly claimed: boolean;
  /** New at every write; a delete names the one it read. */
  readonly rev: string;
}

/** A job that is to be parked. */
export type NewParkedJob = Omit<ParkedJob, "rev" | "claimed">;

export type ParkedRef = Pick<ParkedJob, "partition" | "id">;

/** @throws InvalidInput naming `args` for a new job that is too large */
export function parkedJob(envelope: Envelope, how: Pick<NewParkedJob, "reason" | "due" | "since" | "run">): NewParkedJob {
  const { partition, id, enqueued_at, name, queue, attempt } = envelope;
  return { partition, id, enqueuedAt: enqueued_at, name, queue, attempt, ...how, body: encodeEnvelope(envelope) };
}

export function lifeOfParked({ id, enqueuedAt }: NewParkedJob): JobLife {
  return { job: id, enqueuedAt };
}

/** What the due index holds: parked jobs, and queue keys that are their own outbox. */
export type DueRef = { readonly kind: "parked"; readonly ref: ParkedRef } | { readonly kind: "queue_key"; readonly ref: QueueKeyHandle };

/** A suggestion of the due index, and since when it is due, epoch ms. */
export type Due = DueRef & { readonly at: number };

/** From where on the due index is read: what has been due for longest, or what fell due last. */
export type DueEnd = "oldest" | "newest";

/** What became of a wish to bring a waiting job forward: `on_its_way`: it is due anyway, or a pump has it. `gone`: no job waits there. */
export type Expedited = "expedited" | "on_its_way" | "gone";

/**
 * Parked jobs, the outbox among them. Only the pump deletes one, after a confirmed publish, and only the `rev`
 * that it claimed; the exceptions are a cancelled job, also on `rev`, and a `long` job's own end, on its `run`.
 */
export interface ParkedStore {
  /**
   * Parks a job. An item of the same id is replaced unless
   * - it is of a later life, or of the same at a later attempt, or at the same and held by a run other than `run`, which is the
   *   job's own if it has one: this copy is stale;
   * - it is of an earlier life and `cancelled`, and this job is new (`outbox`, `delayed`): that one is to be told of first.
   *
   * @param run the run whose outcome this is, where the item may be its own `long` one
   * @returns the item's `rev`; `undefined` when it was not replaced
   */
  park(job: NewParkedJob, run?: string): Promise<string | undefined>;
  /**
   * What one key of the due index suggests: it may lag, so claim before use.
   * @param from the end to begin at, first in the answer. @default "oldest"
   */
  due(shard: number, now: number, limit: number, from?: DueEnd): Promise<Due[]>;
  /**
   * Takes a due job for publishing: moves its `due` to `until`, marks it claimed, takes its `run` away and gives it a new
   * `rev`, in one write.
   * @returns the job as it now is; `undefined` when it is gone, not due, or another pump has it
   */
  claim(ref: ParkedRef, now: number, until: number): Promise<ParkedJob | undefined>;
  /** @returns `false` when the item was written anew since `rev` was read, or is gone */
  remove(ref: ParkedRef, rev: string): Promise<boolean>;
  /**
   * Moves a job's `due`; it is not claimed any longer.
   * @param body what is published then. @default the same as before
   * @returns `false` as `remove`
   */
  postpone(ref: ParkedRef, rev: string, due: number, body?: string): Promise<boolean>;
  /**
   * Brings a `waiting` job's `due` to this time if it is later and no pump has it. One that is parked for another reason counts
   * as gone. n.b. of whichever life: one that is brought forward in vain waits again.
   */
  expedite(ref: ParkedRef, now: number): Promise<Expedited>;
  /**
   * Makes it a `cancelled` one, due now; not a `long` one.
   * @returns `false` as `remove`, or because it is `long`
   */
  cancel(ref: ParkedRef, rev: string, now: number): Promise<boolean>;
  /**
   * Asks for a redelivered message whether its outcome was recorded: gives the item of the same life, at the same or a later
   * attempt, a new `rev` (so that a pump that is about to delete it does not). @returns that item as it now is
   */
  touch(ref: ParkedRef, mine: JobStage): Promise<ParkedJob | undefined>;
  /** A `long` job's run moves its `due`. @returns `false` when the item is not that run's any longer */
  hold(ref: ParkedRef, run: string, due: number): Promise<boolean>;
  /** A `long` job's run gives it up: due at `due`, held by nobody. @returns `false` as `hold` */
  handBack(ref: ParkedRef, run: string, due: number): Promise<boolean>;
  /** A `long` job's run has ended for good. @returns `false` as `hold` */
  removeHeld(ref: ParkedRef, run: string): Promise<boolean>;
  get(ref: ParkedRef): Promise<ParkedJob | undefined>;
  /** By id, which is by time of enqueueing. */
  list(partition: string, page: { readonly limit: number; readonly cursor?: string }): Promise<{ jobs: ParkedJob[]; cursor?: string }>;
}
