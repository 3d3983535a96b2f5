import { createRoute, z } from "@hono/zod-openapi";
import {
  BulkBodyInFull,
  DeleteQuery,
  JobBody,
  JobPath,
  JobsQuery,
  NoBody,
  PartitionPath,
  PartitionsQuery,
  PeekQuery,
  PurgeQuery,
  QueueListsBody,
  QueuePath,
  RetryBuriedBody,
  StartBody,
  WaitQuery,
} from "./requests.ts";
import {
  AcceptedSchema,
  BuriedDetailSchema,
  CancelledSchema,
  DeletedSchema,
  HealthSchema,
  JobDetailSchema,
  JobExplanationSchema,
  JobIdSchema,
  JobPageSchema,
  PartitionPageSchema,
  PartitionSchema,
  PeekedSchema,
  ProblemSchema,
  PurgedSchema,
  RetriedBuriedSchema,
  TasksSchema,
} from "./schemas.ts";

/** The whole HTTP API on one page: the apps take their routes from here, and so does the OpenAPI document. */

/**
 * A body for the document only. Given as a schema, zod-openapi would insist on a JSON content type, which `curl -d`
 * doesn't send: handlers parse bodies with `readBody`, by the same schemas.
 */
function documented<S extends z.ZodType>(
  schema: S,
  { required = true, example }: { readonly required?: boolean; readonly example?: z.input<S> } = {},
) {
  const { $schema: _, ...jsonSchema } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const shown = example === undefined ? {} : { example };
  return { required, content: { "application/json": { schema: jsonSchema as Record<string, unknown>, ...shown } } };
}

function json<S extends z.ZodType>(schema: S, description: string) {
  return { description, content: { "application/json": { schema } } };
}

const problem = { description: "A problem", content: { "application/problem+json": { schema: ProblemSchema } } };

const partitionAnswers = { 200: json(PartitionSchema, "The partition as it is now"), default: problem };
const example = { queues: { default: 10, other: 2 } };
const noBody = documented(NoBody, { required: false });

const lifecycle = { tags: ["Partitions"], responses: partitionAnswers };

export const start = createRoute({
  ...lifecycle,
  method: "post",
  path: "/partitions/{partition}/start",
  summary: "Start a partition with these queues, or replace its queues if it runs; without a list, with the one that it has",
  request: { params: PartitionPath, query: WaitQuery, body: documented(StartBody, { required: false, example }) },
});

export const reconfigure = createRoute({
  ...lifecycle,
  method: "post",
  path: "/partitions/{partition}/reconfigure",
  summary: "Replace the queues of a running partition; the list is complete",
  request: { params: PartitionPath, query: WaitQuery, body: documented(QueueListsBody, { example }) },
});

export const safeStop = createRoute({
  ...lifecycle,
  method: "post",
  path: "/partitions/{partition}/safe-stop",
  summary: "Start no new job; stopped once the running ones have finished",
  request: { params: PartitionPath, query: WaitQuery, body: noBody },
});

export const stop = createRoute({
  ...lifecycle,
  method: "post",
  path: "/partitions/{partition}/stop",
  summary: "Stop now; running jobs are aborted and go back to their queue",
  request: { params: PartitionPath, query: WaitQuery, body: noBody },
});

export const listPartitions = createRoute({
  method: "get",
  path: "/partitions",
  tags: ["Partitions"],
  summary: "Partitions, a page at a time",
  request: { query: PartitionsQuery },
  responses: { 200: json(PartitionPageSchema, "A page"), default: problem },
});

export const getPartition = createRoute({
  ...lifecycle,
  method: "get",
  path: "/partitions/{partition}",
  summary: "A partition, its queues and their shares",
  request: { params: PartitionPath },
});

export const deletePartition = createRoute({
  method: "delete",
  path: "/partitions/{partition}",
  tags: ["Partitions"],
  summary: "Remove a stopped partition with its queues and jobs; ask again until it is deleted",
  request: { params: PartitionPath, query: DeleteQuery },
  responses: { 200: json(DeletedSchema, "It is gone"), 202: json(DeletedSchema, "Something is left: ask again"), default: problem },
});

export const pause = createRoute({
  method: "post",
  path: "/partitions/{partition}/queues/{queue}/pause",
  tags: ["Queues"],
  summary: "Start no new job of this queue",
  request: { params: QueuePath, query: WaitQuery, body: noBody },
  responses: partitionAnswers,
});

export const resume = createRoute({
  method: "post",
  path: "/partitions/{partition}/queues/{queue}/resume",
  tags: ["Queues"],
  summary: "End a pause",
  request: { params: QueuePath, query: WaitQuery, body: noBody },
  responses: partitionAnswers,
});

export const purge = createRoute({
  method: "post",
  path: "/partitions/{partition}/queues/{queue}/purge",
  tags: ["Queues"],
  summary: "Remove the jobs that wait in this queue, a part at a time; while there is a cursor, ask again with it",
  request: { params: QueuePath, query: PurgeQuery, body: noBody },
  responses: { 202: json(PurgedSchema, "How many were removed, and where to go on"), default: problem },
});

export const peek = createRoute({
  method: "get",
  path: "/partitions/{partition}/queues/{queue}/jobs",
  tags: ["Queues"],
  summary: "The first jobs that wait in this queue",
  request: { params: QueuePath, query: PeekQuery },
  responses: { 200: json(PeekedSchema, "The jobs"), default: problem },
});

export const enqueue = createRoute({
  method: "post",
  path: "/partitions/{partition}/jobs",
  tags: ["Jobs"],
  summary: "Enqueue one job, or up to 100 as `jobs`; accepted means durable, and an `id` is accepted once",
  request: {
    params: PartitionPath,
    body: documented(z.union([JobBody, BulkBodyInFull]), { example: { name: "hash-file", args: { path: "package.json" }, delay: 60 } }),
  },
  responses: { 202: json(AcceptedSchema, "Accepted; a list answers item by item"), default: problem },
});

export const listJobs = createRoute({
  method: "get",
  path: "/partitions/{partition}/jobs",
  tags: ["Jobs"],
  summary: "Running, parked or buried jobs, a page at a time",
  request: { params: PartitionPath, query: JobsQuery },
  responses: { 200: json(JobPageSchema, "A page"), default: problem },
});

export const getJob = createRoute({
  method: "get",
  path: "/partitions/{partition}/jobs/{job}",
  tags: ["Jobs"],
  summary: "Where a job is",
  request: { params: JobPath },
  responses: { 200: json(JobDetailSchema, "The job; `unknown` when it is queued or finished"), default: problem },
});

export const explainJob = createRoute({
  method: "get",
  path: "/partitions/{partition}/jobs/{job}/explain",
  tags: ["Jobs"],
  summary: "Why a job is where it is, or does not run, in plain words",
  request: { params: JobPath },
  responses: { 200: json(JobExplanationSchema, "The reasons, the most telling first"), default: problem },
});

export const cancelJob = createRoute({
  method: "post",
  path: "/partitions/{partition}/jobs/{job}/cancel",
  tags: ["Jobs"],
  summary: "Cancel a job, wherever it is; a running one is told to end",
  request: { params: JobPath, body: noBody },
  responses: { 202: json(CancelledSchema, "It will not run, or is about to be ended"), default: problem },
});

export const getBuried = createRoute({
  method: "get",
  path: "/partitions/{partition}/buried/{job}",
  tags: ["Buried jobs"],
  summary: "A buried job, with its errors",
  request: { params: JobPath },
  responses: { 200: json(BuriedDetailSchema, "The job"), default: problem },
});

export const retryBuried = createRoute({
  method: "post",
  path: "/partitions/{partition}/buried/{job}/retry",
  tags: ["Buried jobs"],
  summary: "Run a buried job again, from its first attempt",
  request: { params: JobPath, body: noBody },
  responses: { 202: json(JobIdSchema, "It is on its way"), default: problem },
});

export const retryAllBuried = createRoute({
  method: "post",
  path: "/partitions/{partition}/buried/retry",
  tags: ["Buried jobs"],
  summary: "Run buried jobs again, those of one name or all, a part at a time; while there is a cursor, ask again with it",
  request: { params: PartitionPath, body: documented(RetryBuriedBody, { required: false, example: { name: "hash-file" } }) },
  responses: { 202: json(RetriedBuriedSchema, "How many are on their way, and which stay"), default: problem },
});

export const deleteBuried = createRoute({
  method: "delete",
  path: "/partitions/{partition}/buried/{job}",
  tags: ["Buried jobs"],
  summary: "Forget a buried job",
  request: { params: JobPath },
  responses: { 200: json(JobIdSchema, "It is gone"), default: problem },
});

export const tasks = createRoute({
  method: "get",
  path: "/tasks",
  tags: ["Tasks"],
  summary: "Every task, its shares and its running jobs",
  responses: { 200: json(TasksSchema, "The tasks"), default: problem },
});

export const health = createRoute({
  method: "get",
  path: "/health",
  tags: ["Tasks"],
  summary: "Whether the API reaches its state",
  responses: { 200: json(HealthSchema, "It does"), default: problem },
});
