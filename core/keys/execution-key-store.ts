import type { JobLife } from "../job/life.ts";
import type { RunIdentity } from "./runs.ts";

/** One execution key of a partition. The key itself may be any text up to 512 bytes; the store hashes it. */
export interface ExecutionKeyRef {
  readonly partition: string;
  readonly key: string;
}

/** The lock of an execution key. It is freed, never deleted by us: its token must not start anew. */
export interface Lock {
  /** The job whose run holds it; absent while it is free. */
  readonly holder?: string;
  readonly run?: string;
  readonly task?: string;
  /** Rises with every acquisition: a fencing token. A new lock starts at epoch ms. */
  readonly token: number;
  /** The job that may take the free lock before others (of whichever life: it is about the order only) … */
  readonly reserved?: string;
  /** … until then, epoch ms. */
  readonly reservedUntil?: number;
}

export interface ExecutionKeyStore {
  /**
   * One write: holder, run, task, `token + 1`, no reservation. IF nobody holds it and (no reservation, or this job's, or one
   * that has lapsed), or the run `instead` holds it.
   */
  acquire(
    ref: ExecutionKeyRef,
    me: RunIdentity,
    now: number,
    instead?: string,
  ): Promise<{ readonly acquired: true; readonly token: number } | { readonly acquired: false; readonly lock: Lock | undefined }>;

  /** Strongly consistent. */
  read(ref: ExecutionKeyRef): Promise<Lock | undefined>;

  /**
   * Frees the lock, with a reservation or none; IF this run holds it. The item is garbage a day after.
   * @returns `false` when this run does not hold it
   */
  release(ref: ExecutionKeyRef, run: string, reserve?: { readonly job: string; readonly until: number }): Promise<boolean>;

  /** Moves a reservation on, or drops it; IF nobody holds the lock and it is reserved for `from`. */
  reserve(ref: ExecutionKeyRef, from: string, to?: { readonly job: string; readonly until: number }): Promise<boolean>;

  /** Adds the row of a job that waits for the lock; one that is there stays. It is garbage 7 days after it was put last. */
  enlist(ref: ExecutionKeyRef, waiter: JobLife): Promise<void>;

  /** Removes the waiter's row, if it is there. */
  leave(ref: ExecutionKeyRef, waiter: JobLife): Promise<void>;

  /** The oldest waiters (by `enqueuedAt`, then job), strongly consistent. @returns at most `limit` */
  waiters(ref: ExecutionKeyRef, limit: number): Promise<JobLife[]>;
}
