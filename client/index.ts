/** The package's entry for those who define jobs and those who enqueue them. */
export { InvalidInput, RogerError } from "../core/contract/errors.ts";
export { TooManyCancels } from "../core/job/cancel.ts";
export type { JobContext, JobInfo, JobLog } from "../core/job/context.ts";
export { defineJob, type JobDefinition, type JobOptions, type JobSpec, type JobSpecOptions, jobSpec } from "../core/job/define-job.ts";
export { UnknownPartition, UnknownQueue } from "../core/job/destination.ts";
export { DuplicateJob } from "../core/job/duplicate-job.ts";
export { defineHooks, type HookedJob, type Hooks } from "../core/job/hooks.ts";
export { Discard, RetryAfter, Snooze } from "../core/job/verdicts.ts";
export { type Client, ClientClosed, type EnqueueManyOptions, type EnqueueOptions, type ManyItem } from "./client.ts";
export { type ConnectOptions, connect } from "./connect.ts";
export { type ItemResult, type ManyEnqueued, ManyStopped } from "./enqueue-many.ts";
export type { Enqueued } from "./enqueuer.ts";
export { clientEnvironment } from "./environment.ts";
export type { JobPlace } from "./job-place.ts";
export type { BatchJob, TransactJob } from "./transact-item.ts";
