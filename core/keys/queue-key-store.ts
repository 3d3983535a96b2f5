import type { JobLife } from "../job/life.ts";
import type { NewParkedJob } from "../job/parked.ts";
import type { QueueKeyHandle, QueueKeyRef } from "./queue-key-ref.ts";
import type { RunIdentity } from "./runs.ts";

/**
 * `publishing`: accepted, and the item is its own outbox. `queued`: the job is a message or a parked item.
 * `running`: a run holds it. `done`: free again, remembered for a while so that late copies are known for what they are.
 */
export type QueueKeyState = "publishing" | "queued" | "running" | "done";

export interface QueueKeyItem {
  readonly jobId: string;
  /** With `jobId` the life that has the key, see core/job/life.ts; absent in an item of an older build. */
  readonly enqueuedAt?: number;
  readonly state: QueueKeyState;
  /** The queue that its job goes to, for people; absent in an item of an older build. */
  readonly queue?: string;
  /** The attempt that the key is at; copies of earlier ones are stale. */
  readonly attempt: number;
  /** Only while `running`. */
  readonly run?: string;
  readonly task?: string;
  /** Only while `publishing`: the job, as it is to be parked if nothing else brings it on its way. */
  readonly outbox?: NewParkedJob;
  /** Only while `publishing`: when the pump looks after it, epoch ms. */
  readonly due?: number;
  /** Only when `done`: until when it is remembered, epoch ms. */
  readonly until?: number;
  /** Only when `done`: the end had been forgotten. It is remembered against late copies; to whoever enqueues anew the key is free. */
  readonly forgotten?: true;
}

/**
 * Queue keys, one item each. Every method is one conditional write (or one strong read) that may be repeated without
 * harm: once it has landed, its repetition is recognised by the item and answered the same.
 */
export interface QueueKeyStore {
  /**
   * For a new job, which is the outbox: state `publishing`. Written if there is no item, or its memory has lapsed
   * (`until <= now`), or it is `done` and (`takeDone`, or `forgotten`, or done by this very life at an earlier attempt: a person's
   * retry).
   */
  claim(
    ref: QueueKeyRef,
    claim: {
      readonly outbox: NewParkedJob;
      readonly due: number;
      readonly now: number;
      readonly takeDone: boolean;
    },
  ): Promise<{ readonly claimed: true } | { readonly claimed: false; readonly holder: QueueKeyItem | undefined }>;

  /** The job is where it belongs: `publishing` -> `queued`, outbox and due dropped; IF it is this life's and `publishing`. */
  published(handle: QueueKeyHandle | QueueKeyRef, life: JobLife): Promise<boolean>;

  /**
   * An attempt starts: `running`, attempt, run, task; outbox and due dropped. IF there is no item, or its memory has
   * lapsed; or it is this life's, not `done`, `attempt <= the asked one`, and no run holds it, or the run `instead` does.
   */
  begin(
    ref: QueueKeyRef,
    me: RunIdentity,
    attempt: number,
    now: number,
    instead?: string,
  ): Promise<{ readonly began: true } | { readonly began: false; readonly found: QueueKeyItem | undefined }>;

  /** `queued` at `attempt`, no run; IF this run holds it. */
  giveBack(ref: QueueKeyRef, run: string, attempt: number): Promise<boolean>;

  /** `done`, remembered until then; IF this run holds it. */
  finish(ref: QueueKeyRef, run: string, until: number): Promise<boolean>;

  /**
   * `done`, outbox dropped; IF it is this life's, at this attempt or an earlier one, not `done`, and no run holds it, or the run
   * `instead` does: cancelled, purged, buried without a run.
   */
  release(ref: QueueKeyRef, life: JobLife, attempt: number, until: number, instead?: string): Promise<boolean>;

  /**
   * Bars the key to late copies, of this life, whose end is forgotten, and of any other: `done`, `forgotten`, remembered until then;
   * IF there is no item, or its memory has lapsed.
   */
  bar(ref: QueueKeyRef, life: JobLife, stale: { readonly attempt: number; readonly now: number; readonly until: number }): Promise<boolean>;

  /** For the pump: moves `due` of a due outbox. @returns the item as it now is; `undefined` when nothing is due there */
  claimOutbox(handle: QueueKeyHandle, now: number, until: number): Promise<QueueKeyItem | undefined>;

  get(ref: QueueKeyRef): Promise<QueueKeyItem | undefined>;
}
