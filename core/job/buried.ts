import type { FailedAttempt } from "./envelope.ts";
import type { BurialReason } from "./outcome.ts";

/** A job that no worker will run again by itself: a person decides. */
export interface BuriedJob {
  readonly partition: string;
  readonly id: string;
  /** Empty when the envelope could not be read. */
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  /** Which life of the id it is, see core/job/life.ts: epoch ms. Absent when the envelope could not be read. */
  readonly enqueuedAt?: number;
  readonly reason: BurialReason;
  /** Epoch ms. */
  readonly buriedAt: number;
  /** The error it was buried for. */
  readonly error: FailedAttempt["error"];
  /** Failed attempts, oldest first, the last 20. */
  readonly history: readonly FailedAttempt[];
  /** The message's body as it came, whole. */
  readonly body: string;
  readonly rev: string;
}

export interface BuriedStore {
  /**
   * Buries a job; burying it again (a redelivery) replaces the item. One of a later life, or of the same at a later attempt,
   * stays: this burial is a stale copy's.
   */
  bury(job: Omit<BuriedJob, "rev">): Promise<void>;
  /** @returns `false` when the item was written anew since `rev` was read, or is gone */
  remove(partition: string, id: string, rev: string): Promise<boolean>;
  get(partition: string, id: string): Promise<BuriedJob | undefined>;
  list(partition: string, page: { readonly limit: number; readonly cursor?: string }): Promise<{ jobs: BuriedJob[]; cursor?: string }>;
}
