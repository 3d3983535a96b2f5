/**
 * What the HTTP API answers, as types: `functions/` makes these, `RogerApi` hands them out, the CLI prints them.
 * Names are snake_case as on the wire; times are ISO 8601 in UTC; `null` says "not known" or "none".
 */
import type { Json } from "../core/job/envelope.ts";
import type { BurialReason } from "../core/job/outcome.ts";
import type { ParkedReason } from "../core/job/parked.ts";
import type { PartitionStatus, Pools } from "../core/partition/partition.ts";

/** The body of start and reconfigure: `queues` is short for the pool `default`. Values are `max_workers`. */
export type QueueLists = { readonly queues: { readonly [queue: string]: number } } | { readonly pools: Pools };

export interface PartitionView {
  readonly id: string;
  readonly status: PartitionStatus;
  readonly revision: number;
  readonly queues: readonly QueueView[];
  /** The live tasks of its pools, and the revision that each has applied: this one, or `null` for an earlier one. */
  readonly applied: readonly { readonly task: string; readonly revision: number | null }[];
  /** When the oldest of those tasks' reports was made, which `ready` and `running` rest on. */
  readonly as_of: string | null;
}

export interface QueueView {
  readonly pool: string;
  readonly queue: string;
  /** 0 also for a queue that is no longer listed while its last jobs run. */
  readonly max_workers: number;
  readonly paused: boolean;
  /** How much of `max_workers` tasks hold, in sum. Exact. */
  readonly held: number;
  /** Jobs running: exact for a queue that starts none (`held`), else as tasks last reported. */
  readonly running: number;
  /** Messages that wait in RabbitMQ, as last counted. */
  readonly ready: number | null;
  readonly shares: { readonly [task: string]: number };
}

export interface PartitionPage {
  readonly partitions: readonly PartitionView[];
  readonly cursor: string | null;
}

export type JobState = "running" | "parked" | "buried";

export interface RunningView {
  readonly state: "running";
  readonly job_id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly task: string;
  readonly started_at: string;
  /** From 0 to 1, as the job tells. */
  readonly progress: number | null;
  /** Since when it has been ignoring that it was aborted. */
  readonly stuck_since: string | null;
  /** The fencing token of its execution key. */
  readonly token: number | null;
}

/** A running job as far as anybody has told: `null` until its task's next report. */
export interface RunningDetail extends Omit<RunningView, "name" | "queue" | "attempt" | "started_at"> {
  readonly name: string | null;
  readonly queue: string | null;
  readonly attempt: number | null;
  readonly started_at: string | null;
}

/** Who has the key that a job waits for. `since` as its task last reported. */
export interface HolderView {
  readonly job_id: string;
  readonly task: string;
  readonly since: string | null;
}

/** The key that a parked job waits for; without its text where the args are redacted. `held_by` is `null` while it is free. */
export interface WaitsForView {
  readonly key: string | null;
  readonly held_by: HolderView | null;
}

export interface ParkedDetail extends ParkedView {
  readonly args: Json;
  readonly history: readonly FailedAttemptView[];
  /** Only of a job that is `waiting`. */
  readonly waits_for: WaitsForView | null;
}

export interface BuriedDetail extends BuriedView {
  readonly args: Json;
  readonly history: readonly FailedAttemptView[];
}

export interface ParkedView {
  readonly state: "parked";
  readonly job_id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly reason: ParkedReason;
  /** When it was parked for this reason first. */
  readonly since: string;
  /** When it goes to its queue. */
  readonly due: string;
}

export interface BuriedView {
  readonly state: "buried";
  readonly job_id: string;
  /** Empty when the message was no job. */
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly reason: BurialReason;
  readonly buried_at: string;
  readonly error: ErrorView;
}

export interface ErrorView {
  readonly name: string;
  readonly message: string;
  readonly stack: string | null;
}

export interface FailedAttemptView {
  readonly attempt: number;
  readonly started_at: string;
  readonly failed_at: string;
  readonly task: string;
  readonly error: ErrorView;
}

export type JobView = RunningView | ParkedView | BuriedView;

export interface JobPage {
  readonly jobs: readonly JobView[];
  readonly cursor: string | null;
}

/**
 * One job in full, its args as its definition shows them. Plain jobs leave no trace, so most of them are `unknown`: queued,
 * or finished, or there never was one. `queued` and `done` are told of a job with an id of the caller's. `cancelled`: it was
 * asked for; the job will not start any more.
 */
export type JobDetail =
  | RunningDetail
  | ParkedDetail
  | BuriedDetail
  | { readonly state: "queued" | "cancelled" | "unknown"; readonly job_id: string }
  | { readonly state: "done"; readonly job_id: string; readonly remembered_until: string };

/**
 * Why a job is where it is, or does not run.
 *
 * | code | meaning |
 * |---|---|
 * | `running`, `stuck`, `done`, `cancelled`, `buried` | what they say |
 * | `partition_not_running`, `queue_not_listed`, `queue_paused`, `max_workers_zero` | the partition's row keeps it from starting |
 * | `no_task`, `broker_away` | nobody is there to run it, or to bring it to its queue |
 * | `waiting_for_slot` | all that may run of its queue runs |
 * | `parked_until`, `on_its_way` | it waits for a time; the time has come |
 * | `key_held`, `key_free` | it waits for its execution key, or for a run of its own |
 * | `unknown_name` | no worker knows its name |
 * | `suspect` | it may have killed its worker: it runs only beside no other such job |
 * | `not_seen` | queued, finished, or there never was one |
 */
export type ReasonCode =
  | "running"
  | "stuck"
  | "done"
  | "cancelled"
  | "buried"
  | "partition_not_running"
  | "queue_not_listed"
  | "queue_paused"
  | "max_workers_zero"
  | "no_task"
  | "broker_away"
  | "waiting_for_slot"
  | "parked_until"
  | "on_its_way"
  | "key_held"
  | "key_free"
  | "unknown_name"
  | "suspect"
  | "not_seen";

export interface ReasonView {
  readonly code: ReasonCode;
  /** For people, may change. */
  readonly detail: string;
  /** The queue it is about. */
  readonly queue?: string | undefined;
  readonly pool?: string | undefined;
  /** The time that is waited for. */
  readonly until?: string | undefined;
  readonly held_by?: HolderView | undefined;
}

export interface JobExplanation {
  readonly job_id: string;
  readonly state: JobDetail["state"];
  /** The most telling first; never empty. */
  readonly reasons: readonly ReasonView[];
}

/** A job as its author asks for it. `delay` in seconds, or `run_at` in ISO 8601 with an offset; not both. */
export interface JobRequest {
  readonly name: string;
  /** @default {} */
  readonly args?: Json;
  /** An idempotency key: a second job of this id is refused as `duplicate_job`. @default a new UUID */
  readonly id?: string;
  readonly delay?: number;
  readonly run_at?: string;
}

/** The job that was meant. */
export interface JobId {
  readonly job_id: string;
}

export interface Accepted {
  readonly job_id: string;
}

/** `cancelled`: it will not run. `cancelling`: it runs, or can't be seen; whoever has it in hands ends it, unless it ends by itself first. */
export interface Cancelled {
  readonly job_id: string;
  readonly state: "cancelled" | "cancelling";
}

/** Which buried jobs to retry: those of this name, or all; from where the last answer ended. */
export interface RetryBuried {
  readonly name?: string;
  readonly cursor?: string;
}

/** One part of many: while there is a cursor, ask again with it. */
export interface RetriedBuried {
  readonly retried: number;
  /** They stay buried. */
  readonly failed: readonly { readonly job_id: string; readonly code: string }[];
  readonly more: boolean;
  readonly cursor: string | null;
}

export interface BulkAccepted {
  /** In the order of the request. */
  readonly jobs: readonly (Accepted | { readonly error: Problem })[];
}

/** A message at the head of a queue. All but `bytes` is `null` when it is no job. */
export interface PeekedView {
  readonly job_id: string | null;
  readonly name: string | null;
  readonly args: Json;
  readonly attempt: number | null;
  readonly enqueued_at: string | null;
  readonly bytes: number;
}

export interface Peeked {
  readonly jobs: readonly PeekedView[];
}

/** One part of many: while there is a cursor, ask again with it. */
export interface Purged {
  readonly removed: number;
  readonly more: boolean;
  readonly cursor: string | null;
}

/** `deleting`: something is still held, or left; ask again. */
export interface Deleted {
  readonly status: "deleting" | "deleted";
}

export interface TaskView {
  readonly task: string;
  readonly pool: string;
  readonly state: "live" | "draining" | "dead";
  readonly slots: number;
  readonly free: number;
  /** The ECS task, where there is one. */
  readonly arn: string | null;
  readonly started_at: string | null;
  readonly memory_bytes: number | null;
  /** When the task last told of itself; the rest is as of then. */
  readonly reported_at: string | null;
  /** Queues that have jobs ready or running there. */
  readonly shares: readonly TaskShareView[];
  readonly running: readonly (RunningView & { readonly partition: string })[];
  /** More jobs run than `running` lists. */
  readonly running_left_out: number;
}

export interface TaskShareView {
  readonly partition: string;
  readonly pool: string;
  readonly queue: string;
  readonly share: number;
  readonly running: number;
  readonly ready: number | null;
}

export interface TasksView {
  readonly pools: readonly { readonly pool: string; readonly tasks: number; readonly slots: number; readonly free: number }[];
  readonly tasks: readonly TaskView[];
}

export interface Health {
  readonly status: "ok";
}

/** RFC 9457. `code` is stable; `field` is the path of the value at fault, as the caller wrote it. */
export interface Problem {
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly field?: string | undefined;
  /** Of `duplicate_job`: who has the key. */
  readonly existing_job_id?: string | undefined;
  /** Names the log line of a failure on our side. */
  readonly request_id?: string | undefined;
}
