import type { AbortCode } from "../core/job/abort.ts";
import type { BurialReason } from "../core/job/outcome.ts";
import type { ParkedReason } from "../core/job/parked.ts";

/**
 * What a task tells the outside, as it happens. Logging is a subscriber (worker/log.ts); nothing that listens can
 * change what becomes of a job.
 *
 * | event | when |
 * |---|---|
 * | `ready` | the task consumes and renews its lease |
 * | `draining`, `drained` | a graceful stop began, or ended |
 * | `stop_late` | a step of the stop did not end in its time: what it would have given back is left to eviction |
 * | `lease_late`, `lease_regained` | renewals fail: no new job starts; they succeed again |
 * | `lease_lost` | running jobs are aborted, or the task was declared dead and must end |
 * | `peer_dead` | this task declared another dead |
 * | `evicted` | this task took away what a dead one held |
 * | `broker` | the connection to RabbitMQ came or went |
 * | `job_retried`, `job_buried`, `job_parked`, `job_cancelled` | an outcome was recorded |
 * | `job_stuck` | a job ignores for too long that it was aborted; it keeps its place among the running |
 * | `job_handed_back` | a run ended without an outcome: shutdown, stop, lost connection, store away |
 * | `trouble` | something failed and will be tried again; `doing` says what |
 */
export type WorkerEvent =
  | { readonly type: "ready"; readonly boot: string; readonly pool: string; readonly slots: number; readonly healthPort: number }
  | { readonly type: "draining" | "drained" }
  | { readonly type: "stop_late"; readonly step: string }
  | { readonly type: "lease_late" | "lease_regained" }
  | { readonly type: "lease_lost"; readonly why: string }
  | { readonly type: "peer_dead"; readonly boot: string }
  | { readonly type: "evicted"; readonly partition: string; readonly queue: string; readonly boot: string; readonly share: number }
  | { readonly type: "broker"; readonly connected: boolean; readonly why?: string }
  | { readonly type: "job_retried"; readonly job: JobRef; readonly delayMs: number; readonly message: string }
  | { readonly type: "job_buried"; readonly job: JobRef; readonly reason: BurialReason; readonly message: string }
  | { readonly type: "job_parked"; readonly job: JobRef; readonly reason: ParkedReason }
  | { readonly type: "job_cancelled"; readonly job: JobRef }
  | { readonly type: "job_stuck"; readonly job: JobRef; readonly why: AbortCode }
  | { readonly type: "job_handed_back"; readonly job: JobRef; readonly why: string }
  | { readonly type: "trouble"; readonly doing: string; readonly error: unknown };

export interface JobRef {
  readonly id: string;
  readonly name: string;
  readonly partition: string;
  readonly queue: string;
  readonly attempt: number;
}

export type Emit = (event: WorkerEvent) => void;
