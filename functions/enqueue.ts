import type { Accepted, BulkAccepted, Problem } from "../client/views.ts";
import { describeError, InvalidInput } from "../core/contract/errors.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { checkArgs, type JobDefinition } from "../core/job/define-job.ts";
import { type Envelope, encodeEnvelope } from "../core/job/envelope.ts";
import { newJobId } from "../core/job/id.ts";
import type { ParkedJob } from "../core/job/parked.ts";
import type { Registry } from "../core/job/registry.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import { listedQueues, type Partition } from "../core/partition/partition.ts";
import type { JobsDeps } from "./deps.ts";
import { problemOf, RequestRefused, refusalOf } from "./problem.ts";
import { JobBody } from "./requests.ts";

/** Writes to the store that are under way at the same moment, for one request. */
const WRITES_AT_ONCE = 25;
/** Names that an `unknown_job` answer lists. */
const NAMES_LISTED = 20;
/** W3C Trace Context; one that is not of this form is to be ignored. */
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

type NewJob = Omit<ParkedJob, "rev">;

export interface EnqueueContext {
  readonly deps: JobsDeps;
  readonly partition: Partition;
  readonly traceparent: string | undefined;
}

/**
 * Accepts one job: parked means durable, RabbitMQ may be away; the pump brings it to its queue when it is due.
 * @throws RequestRefused or InvalidInput naming the field; CommandRefused `unknown_queue`; StoreUnavailable
 */
export async function enqueueOne(context: EnqueueContext, body: unknown): Promise<Accepted> {
  return park(context, await prepare(context, body, []));
}

/**
 * Accepts what can be accepted of a list; every item has its own answer, in order.
 * All items are checked before the first is written, so a list with one typo in each item leaves nothing behind.
 */
export async function enqueueEach(context: EnqueueContext, bodies: readonly unknown[]): Promise<BulkAccepted> {
  const prepared = await Promise.all(bodies.map((body, i) => attempt(context, () => prepare(context, body, ["jobs", i]))));
  const jobs: (Accepted | { readonly error: Problem })[] = [];
  for (let i = 0; i < prepared.length; i += WRITES_AT_ONCE) {
    const writes = prepared.slice(i, i + WRITES_AT_ONCE).map((job) => ("error" in job ? job : attempt(context, () => park(context, job))));
    jobs.push(...(await Promise.all(writes)));
  }
  return { jobs };
}

async function park({ deps }: EnqueueContext, job: NewJob): Promise<Accepted> {
  await deps.store.parked.park(job);
  return { job_id: job.id };
}

/** One item's failure is that item's answer. */
async function attempt<T>({ deps }: EnqueueContext, work: () => Promise<T>): Promise<T | { readonly error: Problem }> {
  try {
    return await work();
  } catch (error) {
    const problem = problemOf(error);
    if (problem.status >= 500) deps.log.error("a job of a list was not accepted", { code: problem.code, error: describeError(error) });
    return { error: problem };
  }
}

async function prepare({ deps, partition, traceparent }: EnqueueContext, body: unknown, at: readonly PropertyKey[]): Promise<NewJob> {
  const result = JobBody.safeParse(body);
  if (!result.success) throw refusalOf(result.error.issues, at);
  const request = result.data;
  const field = (name: string) => [...at, name].map(String).join(".");

  const definition = definitionOf(deps.registry, request.name, field("name"));
  const checked = await checkArgs(definition, request.args);
  if (!checked.ok) throw invalidArgs(checked.problem, field("args"));
  const queue = listedQueue(partition, definition, checked.value);

  const now = deps.clock.now();
  const due = dueOf(request, now, field("run_at"));
  const id = newJobId();
  const envelope = {
    v: 1,
    id,
    name: request.name,
    // As the caller wrote them: the worker's schema parses them once more, and a parsed value may not parse again.
    args: request.args,
    partition: partition.id,
    queue,
    attempt: 1,
    enqueued_at: now,
    ...(traceparent !== undefined && TRACEPARENT.test(traceparent) ? { traceparent } : {}),
  } as const;
  const reason = due > now ? "delayed" : "outbox";
  return { partition: partition.id, id, name: request.name, queue, attempt: 1, reason, due, since: now, body: encoded(envelope, field("args")) };
}

/** The envelope knows no list: it says `args`, the caller wrote `jobs.3.args`. */
function encoded(envelope: Envelope, field: string): string {
  try {
    return encodeEnvelope(envelope);
  } catch (error) {
    if (error instanceof InvalidInput) throw new RequestRefused(error.code, error.message, field);
    throw error;
  }
}

function definitionOf(registry: Registry, name: string, field: string): JobDefinition {
  const definition = registry.get(name);
  if (definition !== undefined) return definition;
  const names = [...registry.keys()].sort();
  const listed = `${names.slice(0, NAMES_LISTED).join(", ")}${names.length > NAMES_LISTED ? ", …" : ""}`;
  throw new RequestRefused("unknown_job", `there is no job "${name}"; there are ${listed || "none"}`, field);
}

/** `checkArgs` says `args.path: …; args.other: …`: the first is the field. */
function invalidArgs(problem: string, field: string): RequestRefused {
  const at = /^args([^:]*):/.exec(problem)?.[1] ?? "";
  return new RequestRefused("invalid_request", problem, `${field}${at}`);
}

function listedQueue(partition: Partition, definition: JobDefinition, args: unknown): string {
  const queue = definition.queueOf(args);
  const listed = listedQueues(partition);
  if (listed.includes(queue)) return queue;
  throw new CommandRefused(
    "unknown_queue",
    `job ${definition.name} goes to queue "${queue}"; partition ${partition.id} has ${listed.join(", ") || "none"}`,
  );
}

/** When the job is due, epoch ms; a time that has passed is now. */
function dueOf(request: JobBody, now: number, field: string): number {
  if (request.delay !== undefined) return now + Math.round(request.delay * 1000);
  if (request.run_at === undefined) return now;
  const due = Date.parse(request.run_at);
  if (due > now + LIMITS.delayMs) throw new RequestRefused("invalid_request", `${field}: more than ten years away`, field);
  return Math.max(now, due);
}
