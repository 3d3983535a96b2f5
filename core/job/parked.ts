/** Why a parked job waits. */
export type ParkedReason = "outbox" | "delayed" | "retry" | "snoozed" | "unknown_name";

/** A job that waits in DynamoDB for a time. Every parked job has a `due`: a lost wake-up costs time, never a job. */
export interface ParkedJob {
  readonly partition: string;
  readonly id: string;
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
  /** New at every write; a delete names the one it read. */
  readonly rev: string;
}

export type ParkedRef = Pick<ParkedJob, "partition" | "id">;

/**
 * Parked jobs, the outbox among them. Only the pump deletes one, after a confirmed publish, and only the `rev`
 * that it claimed.
 */
export interface ParkedStore {
  /**
   * Parks a job. An item of the same id is replaced unless it is of a later attempt.
   * @returns `false` when a later attempt of this job is parked already: this copy is stale
   */
  park(job: Omit<ParkedJob, "rev">): Promise<boolean>;
  /** What the due index suggests: it may lag, so claim before use. Oldest due first. */
  dueRefs(shard: number, now: number, limit: number): Promise<ParkedRef[]>;
  /**
   * Takes a due job for publishing: moves its `due` to `until` and gives it a new `rev`, in one write.
   * @returns the job as it now is; `undefined` when it is gone, not due, or another pump has it
   */
  claim(ref: ParkedRef, now: number, until: number): Promise<ParkedJob | undefined>;
  /** @returns `false` when the item was written anew since `rev` was read, or is gone */
  remove(ref: ParkedRef, rev: string): Promise<boolean>;
  /** Moves a claimed job's `due`. @returns `false` as `remove` */
  postpone(ref: ParkedRef, rev: string, due: number): Promise<boolean>;
  /**
   * Asks for a redelivered message whether its outcome was recorded: gives the item of the same or a later attempt
   * a new `rev` (so that a pump that is about to delete it does not). @returns that item as it now is
   */
  touch(ref: ParkedRef, attempt: number): Promise<ParkedJob | undefined>;
  get(ref: ParkedRef): Promise<ParkedJob | undefined>;
  /** By id, which is by time of enqueueing. */
  list(partition: string, page: { readonly limit: number; readonly cursor?: string }): Promise<{ jobs: ParkedJob[]; cursor?: string }>;
}
