import { z } from "@hono/zod-openapi";
import { LIMITS } from "../core/contract/limits.ts";
import { DEFAULT_POOL, JOB_ID_PATTERN, JOB_NAME_PATTERN, NAMING, PARTITION_PATTERN, QUEUE_PATTERN } from "../core/contract/names.ts";
import type { Json } from "../core/job/envelope.ts";
import type { Pools } from "../core/partition/partition.ts";

/** What the API takes: path, query and body of each request. Objects are strict, so a misspelt field is told, not ignored. */

const named = (pattern: RegExp, words: string) => z.string().regex(pattern, `does not fit: ${words}`);
const partition = named(PARTITION_PATTERN, NAMING.partition);
const queue = named(QUEUE_PATTERN, NAMING.queue);
const jobName = named(JOB_NAME_PATTERN, NAMING.jobName);
const jobId = named(JOB_ID_PATTERN, NAMING.jobId);

export const PartitionPath = z.strictObject({ partition });
export const QueuePath = z.strictObject({ partition, queue });
export const JobPath = z.strictObject({ partition, job: jobId });

/** The longest `?wait`: API Gateway gives up on a request after 30 s. */
const MAX_WAIT_SECONDS = 25;

const seconds = z
  .string()
  .regex(/^\d{1,3}(\.\d{1,3})?$/, "must be a number of seconds")
  .transform(Number)
  .pipe(z.number().max(MAX_WAIT_SECONDS))
  .openapi({ type: "number", minimum: 0, maximum: MAX_WAIT_SECONDS });

const limit = (otherwise: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,6}$/, "must be a whole number")
    .transform(Number)
    .pipe(z.number().min(1).max(max))
    .default(otherwise)
    .openapi({ type: "integer", minimum: 1, maximum: max, default: otherwise });

/** n.b. the document generator does not know `exactOptional`, which the ports' types ask for: it has to be told. */
const OPTIONAL = { param: { required: false } } as const;

const cursor = z.string().min(1).max(2_000).exactOptional().openapi(OPTIONAL);

export const WaitQuery = z.strictObject({ wait: seconds.default(0) });
export const PartitionsQuery = z.strictObject({
  status: z.enum(["running", "draining", "stopped", "deleting"]).exactOptional().openapi(OPTIONAL),
  limit: limit(50, 100),
  cursor,
});
export const JobsQuery = z.strictObject({ state: z.enum(["running", "parked", "buried"]), limit: limit(50, 100), cursor });
export const PeekQuery = z.strictObject({ limit: limit(20, 100) });
export const PurgeQuery = z.strictObject({ cursor });
export const DeleteQuery = z.strictObject({
  force: z
    .enum(["true", "false"])
    .default("false")
    .transform((text) => text === "true"),
});

export const NoBody = z.strictObject({});

/** Which buried jobs to retry; from where the last answer ended. */
export const RetryBuriedBody = z.strictObject({
  name: jobName.exactOptional(),
  cursor: z.string().min(1).max(2_000).exactOptional(),
});

const maxWorkers = z.int().min(0).max(LIMITS.maxWorkers);
const queues = z.record(queue, maxWorkers);
const pools = z.record(queue, queues);

/** Start: one of `queues` (short for the pool `default`) and `pools`, or none: with the list that the partition has. */
export const StartBody = z.strictObject({ queues: queues.exactOptional(), pools: pools.exactOptional() }).superRefine((body, check) => {
  const both = body.queues !== undefined && body.pools !== undefined;
  const field = body.pools === undefined ? "queues" : "pools";
  if (both) check.addIssue({ code: "custom", path: [field], message: 'give "queues" or "pools", not both' });
  const total = Object.values(poolsOf(body)).reduce((sum, byQueue) => sum + Object.keys(byQueue).length, 0);
  if (total > LIMITS.queuesPerPartition) {
    check.addIssue({ code: "custom", path: [field], message: `${total} queues; a partition has at most ${LIMITS.queuesPerPartition}` });
  }
});

export type StartBody = z.infer<typeof StartBody>;

/** Reconfigure: exactly one of them. */
export const QueueListsBody = StartBody.superRefine((body, check) => {
  if (isEmpty(body)) check.addIssue({ code: "custom", path: ["queues"], message: 'give "queues" or "pools"' });
});

export function isEmpty({ queues, pools }: StartBody): boolean {
  return queues === undefined && pools === undefined;
}

export function poolsOf(body: StartBody): Pools {
  return body.pools ?? { [DEFAULT_POOL]: body.queues ?? {} };
}

export const JobBody = z
  .strictObject({
    name: jobName,
    // Any JSON: the body was parsed from it, and the job's own schema has the say.
    args: z.custom<Json>().default({}),
    id: jobId.exactOptional().openapi({ description: "an id of the caller's: an idempotency key" }),
    delay: z
      .number()
      .min(0)
      .max(LIMITS.delayMs / 1000)
      .exactOptional(),
    run_at: z.iso.datetime({ offset: true, error: "must be a time with its offset, such as 2030-01-31T09:00:00Z" }).exactOptional(),
  })
  .superRefine((body, check) => {
    if (body.delay !== undefined && body.run_at !== undefined) {
      check.addIssue({ code: "custom", path: ["run_at"], message: 'give "delay" or "run_at", not both' });
    }
  });

export type JobBody = z.infer<typeof JobBody>;

/** A list for the document; what is checked at first is only that it is one. */
export const BulkBodyInFull = z.strictObject({ jobs: z.array(JobBody).min(1).max(LIMITS.bulkJobs) });

/** The items are checked one by one, each with an answer of its own. */
export const BulkBody = z.strictObject({ jobs: z.array(z.unknown()).min(1).max(LIMITS.bulkJobs) });
