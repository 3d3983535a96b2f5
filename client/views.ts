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
}

export interface ParkedView {
  readonly state: "parked";
  readonly job_id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly reason: ParkedReason;
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

/** One job in full. `unknown`: queued, or finished; plain jobs leave no trace. */
export type JobDetail =
  | RunningView
  | (ParkedView & { readonly args: Json })
  | (BuriedView & { readonly args: Json; readonly history: readonly FailedAttemptView[] })
  | { readonly state: "unknown"; readonly job_id: string };

/** A job as its author asks for it. `delay` in seconds, or `run_at` in ISO 8601 with an offset; not both. */
export interface JobRequest {
  readonly name: string;
  /** @default {} */
  readonly args?: Json;
  readonly delay?: number;
  readonly run_at?: string;
}

export interface Accepted {
  readonly job_id: string;
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

export interface Purged {
  readonly removed: number;
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
  /** Names the log line of a failure on our side. */
  readonly request_id?: string | undefined;
}
