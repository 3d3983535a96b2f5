import { z } from "@hono/zod-openapi";
import type {
  Accepted,
  BulkAccepted,
  BuriedDetail,
  Cancelled,
  Deleted,
  Health,
  JobDetail,
  JobExplanation,
  JobId,
  JobPage,
  JobView,
  PartitionPage,
  PartitionView,
  Peeked,
  Problem,
  Purged,
  QueueView,
  RetriedBuried,
  TasksView,
} from "../client/views.ts";
import { PROBLEM_CODES } from "./problem.ts";

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
const runningFields = {
  ...jobFields,
  state: z.literal("running"),
  task: z.string(),
  started_at: time,
  progress: z.number().nullable(),
  stuck_since: time.nullable().describe("since when it has been ignoring that it was aborted"),
  token: z.int().nullable().describe("the fencing token of its execution key"),
};
const parkedFields = {
  ...jobFields,
  state: z.literal("parked"),
  reason: z.enum(["outbox", "delayed", "retry", "snoozed", "waiting", "unknown_name", "suspect", "long", "cancelled"]),
  since: time,
  due: time,
};
const buriedFields = {
  ...jobFields,
  state: z.literal("buried"),
  reason: z.enum(["failed", "discarded", "invalid_args", "invalid_envelope", "unknown_job", "undeliverable", "poison"]),
  buried_at: time,
  error: errorView,
};
// z.json() would put a recursive schema into the document; anything is what args are there.
const args = z.any().openapi({ description: "any JSON; what the job's `redact` leaves of it" });

const Job: z.ZodType<JobView> = z.union([z.object(runningFields), z.object(parkedFields), z.object(buriedFields)]).openapi("Job");

export const JobPageSchema: z.ZodType<JobPage> = z.object({ jobs: z.array(Job), cursor: z.string().nullable() }).openapi("JobPage");

const failedAttempt = z.object({ attempt: z.int(), started_at: time, failed_at: time, task: z.string(), error: errorView });
const holder = z.object({ job_id: z.string(), task: z.string(), since: time.nullable() });

const runningDetail = z.object({
  ...runningFields,
  name: z.string().nullable().describe("null, as others here: its task has not told yet"),
  queue: z.string().nullable(),
  attempt: z.int().nullable(),
  started_at: time.nullable(),
});
const parkedDetail = z.object({
  ...parkedFields,
  args,
  history: z.array(failedAttempt),
  waits_for: z.object({ key: z.string().nullable(), held_by: holder.nullable() }).nullable(),
});

export const BuriedDetailSchema: z.ZodType<BuriedDetail> = z.object({ ...buriedFields, args, history: z.array(failedAttempt) }).openapi("BuriedJob");

export const JobDetailSchema: z.ZodType<JobDetail> = z
  .union([
    runningDetail,
    parkedDetail,
    BuriedDetailSchema,
    z.object({ state: z.enum(["queued", "cancelled", "unknown"]), job_id: z.string() }),
    z.object({ state: z.literal("done"), job_id: z.string(), remembered_until: time }),
  ])
  .openapi("JobDetail");

const reasonCode = z.enum([
  "running",
  "stuck",
  "done",
  "cancelled",
  "buried",
  "partition_not_running",
  "queue_not_listed",
  "queue_paused",
  "max_workers_zero",
  "no_task",
  "broker_away",
  "waiting_for_slot",
  "parked_until",
  "on_its_way",
  "key_held",
  "key_free",
  "unknown_name",
  "suspect",
  "not_seen",
]);

export const JobExplanationSchema: z.ZodType<JobExplanation> = z
  .object({
    job_id: z.string(),
    state: z.enum(["running", "parked", "buried", "queued", "cancelled", "unknown", "done"]),
    reasons: z.array(
      z.object({
        code: reasonCode.describe("stable: what programs look at"),
        detail: z.string().describe("for people, may change"),
        queue: z.string().optional(),
        pool: z.string().optional(),
        until: time.optional(),
        held_by: holder.optional(),
      }),
    ),
  })
  .openapi("JobExplanation");

export const CancelledSchema: z.ZodType<Cancelled> = z
  .object({
    job_id: z.string(),
    state: z.enum(["cancelled", "cancelling"]).describe("cancelling: it runs, or can't be seen; whoever has it ends it"),
  })
  .openapi("Cancelled");

export const JobIdSchema: z.ZodType<JobId> = z.object({ job_id: z.string() }).openapi("JobId");

export const RetriedBuriedSchema: z.ZodType<RetriedBuried> = z
  .object({
    retried: count,
    failed: z.array(z.object({ job_id: z.string(), code: z.string() })).describe("they stay buried"),
    more: z.boolean(),
    cursor: z.string().nullable(),
  })
  .openapi("RetriedBuried");

export const ProblemSchema: z.ZodType<Problem> = z
  .object({
    title: z.string(),
    status: z.int(),
    code: z.enum(PROBLEM_CODES).describe("stable: what programs look at"),
    detail: z.string().describe("for people, may change"),
    field: z.string().optional().describe("the path of the value at fault, as the caller wrote it"),
    existing_job_id: z.string().optional().describe("of duplicate_job: who has the key"),
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

export const PurgedSchema: z.ZodType<Purged> = z.object({ removed: count, more: z.boolean(), cursor: z.string().nullable() }).openapi("Purged");
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
