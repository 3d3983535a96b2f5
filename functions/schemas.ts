import { z } from "@hono/zod-openapi";
import type {
  Accepted,
  BulkAccepted,
  Deleted,
  Health,
  JobDetail,
  JobPage,
  JobView,
  PartitionPage,
  PartitionView,
  Peeked,
  Problem,
  Purged,
  QueueView,
  TasksView,
} from "../client/views.ts";

/**
 * The views of client/views.ts as schemas: the compiler holds both to each other, and the OpenAPI document
 * is made of them. Answers are not parsed with them.
 */
const time = z.iso.datetime();
const count = z.int().min(0);

const Queue: z.ZodType<QueueView> = z.object({
  pool: z.string(),
  queue: z.string(),
  max_workers: count.describe("0 also for a queue that is no longer listed while its last jobs run"),
  paused: z.boolean(),
  held: count.describe("how much of max_workers tasks hold, exact"),
  running: count,
  ready: count.nullable().describe("messages in RabbitMQ as last counted; null: nobody has told"),
  shares: z.record(z.string(), count),
});

const PartitionStatus = z.enum(["running", "draining", "stopped", "deleting", "deleted"]);

export const PartitionSchema: z.ZodType<PartitionView> = z
  .object({
    id: z.string(),
    status: PartitionStatus,
    revision: count,
    queues: z.array(Queue),
    applied: z.array(z.object({ task: z.string(), revision: count.nullable().describe("null: an earlier one") })),
    as_of: time.nullable(),
  })
  .openapi("Partition");

export const PartitionPageSchema: z.ZodType<PartitionPage> = z
  .object({ partitions: z.array(PartitionSchema), cursor: z.string().nullable() })
  .openapi("PartitionPage");

const errorView = z.object({ name: z.string(), message: z.string(), stack: z.string().nullable() });
const jobFields = { job_id: z.string(), name: z.string(), queue: z.string(), attempt: z.int() };
const runningFields = { ...jobFields, state: z.literal("running"), task: z.string(), started_at: time, progress: z.number().nullable() };
const parkedFields = {
  ...jobFields,
  state: z.literal("parked"),
  reason: z.enum(["outbox", "delayed", "retry", "snoozed", "unknown_name"]),
  since: time,
  due: time,
};
const buriedFields = {
  ...jobFields,
  state: z.literal("buried"),
  reason: z.enum(["failed", "discarded", "invalid_args", "invalid_envelope", "unknown_job", "undeliverable"]),
  buried_at: time,
  error: errorView,
};
// z.json() would put a recursive schema into the document; anything is what args are there.
const args = z.any().openapi({ description: "any JSON" });

const Job: z.ZodType<JobView> = z.union([z.object(runningFields), z.object(parkedFields), z.object(buriedFields)]).openapi("Job");

export const JobPageSchema: z.ZodType<JobPage> = z.object({ jobs: z.array(Job), cursor: z.string().nullable() }).openapi("JobPage");

const failedAttempt = z.object({ attempt: z.int(), started_at: time, failed_at: time, task: z.string(), error: errorView });

export const JobDetailSchema: z.ZodType<JobDetail> = z
  .union([
    z.object(runningFields),
    z.object({ ...parkedFields, args }),
    z.object({ ...buriedFields, args, history: z.array(failedAttempt) }),
    z.object({ state: z.literal("unknown"), job_id: z.string() }),
  ])
  .openapi("JobDetail");

export const ProblemSchema: z.ZodType<Problem> = z
  .object({
    title: z.string(),
    status: z.int(),
    code: z.string().describe("stable: what programs look at"),
    detail: z.string().describe("for people, may change"),
    field: z.string().optional().describe("the path of the value at fault, as the caller wrote it"),
    request_id: z.string().optional().describe("names the log line of a failure on the server's side"),
  })
  .openapi("Problem");

const accepted = z.object({ job_id: z.string() });
const bulkAccepted = z.object({ jobs: z.array(z.union([accepted, z.object({ error: ProblemSchema })])).describe("in the order of the request") });

export const AcceptedSchema: z.ZodType<Accepted | BulkAccepted> = z.union([accepted, bulkAccepted]).openapi("Accepted");

export const PeekedSchema: z.ZodType<Peeked> = z
  .object({
    jobs: z.array(
      z.object({
        job_id: z.string().nullable(),
        name: z.string().nullable(),
        args,
        attempt: z.int().nullable(),
        enqueued_at: time.nullable(),
        bytes: count,
      }),
    ),
  })
  .openapi("Peeked");

export const PurgedSchema: z.ZodType<Purged> = z.object({ removed: count }).openapi("Purged");
export const DeletedSchema: z.ZodType<Deleted> = z.object({ status: z.enum(["deleting", "deleted"]) }).openapi("Deleted");
export const HealthSchema: z.ZodType<Health> = z.object({ status: z.literal("ok") }).openapi("Health");

const taskShare = z.object({
  partition: z.string(),
  pool: z.string(),
  queue: z.string(),
  share: count,
  running: count,
  ready: count.nullable(),
});

export const TasksSchema: z.ZodType<TasksView> = z
  .object({
    pools: z.array(z.object({ pool: z.string(), tasks: count, slots: count, free: count })),
    tasks: z.array(
      z.object({
        task: z.string(),
        pool: z.string(),
        state: z.enum(["live", "draining", "dead"]),
        slots: count,
        free: count,
        arn: z.string().nullable(),
        started_at: time.nullable(),
        memory_bytes: count.nullable(),
        reported_at: time.nullable(),
        shares: z.array(taskShare),
        running: z.array(z.object({ ...runningFields, partition: z.string() })),
        running_left_out: count,
      }),
    ),
  })
  .openapi("Tasks");
