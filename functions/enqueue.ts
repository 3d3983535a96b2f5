import type { Accepted, BulkAccepted, Problem } from "../client/views.ts";
import type { Clock } from "../core/contract/clock.ts";
import { describeError, InvalidInput } from "../core/contract/errors.ts";
import type { JobDefinition } from "../core/job/define-job.ts";
import { DuplicateJob } from "../core/job/duplicate-job.ts";
import { acceptJob } from "../core/job/enqueue.ts";
import { type NewJob, newJob } from "../core/job/new-job.ts";
import type { NewParkedJob } from "../core/job/parked.ts";
import type { Registry } from "../core/job/registry.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import { listedQueues, type Partition } from "../core/partition/partition.ts";
import type { Log, StorePorts } from "./deps.ts";
import { problemOf, RequestRefused, refusalOf } from "./problem.ts";
import { JobBody } from "./requests.ts";

/** Jobs that are being written at the same moment, for one request. */
const WRITES_AT_ONCE = 25;
/** Names that an `unknown_job` answer lists. */
const NAMES_LISTED = 20;

export interface EnqueueDeps {
  readonly store: Pick<StorePorts, "parked" | "queueKeys">;
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
}

export interface EnqueueContext {
  readonly deps: EnqueueDeps;
  readonly partition: Partition;
  readonly traceparent: string | undefined;
}

/**
 * Accepts one job: parked means durable, RabbitMQ may be away; the pump brings it to its queue when it is due.
 * @throws RequestRefused or InvalidInput naming the field; CommandRefused `unknown_queue`; DuplicateJob; StoreUnavailable
 */
export async function enqueueOne(context: EnqueueContext, body: unknown): Promise<Accepted> {
  return accept(context, await prepare(context, body, []));
}

/**
 * Accepts what can be accepted of a list; every item has its own answer, in order.
 * All items are checked before the first is written, so a list with one typo in each item leaves nothing behind.
 */
export async function enqueueEach(context: EnqueueContext, bodies: readonly unknown[]): Promise<BulkAccepted> {
  const prepared = await Promise.all(bodies.map((body, i) => attempt(context, () => prepare(context, body, ["jobs", i]))));
  const jobs: (Accepted | { readonly error: Problem })[] = [];
  for (let i = 0; i < prepared.length; i += WRITES_AT_ONCE) {
    const some = prepared.slice(i, i + WRITES_AT_ONCE);
    jobs.push(...(await acceptInOrder(some, (job) => attempt(context, () => accept(context, job)))));
  }
  return { jobs };
}

type Prepared = NewJob | { readonly error: Problem };
type Answer = Accepted | { readonly error: Problem };

/** All at once, but those that want the same key one after the other: the first of the list gets it. */
async function acceptInOrder(prepared: readonly Prepared[], accept: (job: NewJob) => Promise<Answer>): Promise<Answer[]> {
  const last = new Map<string, Promise<Answer>>();
  return Promise.all(
    prepared.map((job) => {
      if ("error" in job) return job;
      if (job.key === undefined) return accept(job);
      const { key } = job.key.ref;
      const answer = (last.get(key) ?? Promise.resolve()).then(() => accept(job));
      last.set(key, answer);
      return answer;
    }),
  );
}

/** The crash table is acceptJob's. */
async function accept({ deps: { store, clock } }: EnqueueContext, { job, key }: NewJob): Promise<Accepted> {
  const park = async (accepted: NewParkedJob): Promise<boolean> => (await store.parked.park(accepted)) !== undefined;
  const answer = await acceptJob({ queueKeys: store.queueKeys, clock }, job, key, park);
  if (!answer.accepted) throw new DuplicateJob(answer.holder.jobId);
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
  const { name, args, id, delay, run_at } = result.data;
  const definition = definitionOf(deps.registry, name, fieldAt(at, "name"));
  const options = {
    partition: partition.id,
    ...(id === undefined ? {} : { id }),
    ...(delay === undefined ? {} : { delay }),
    ...(run_at === undefined ? {} : { runAt: new Date(run_at) }),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
  const made = await asCalled(at, () => newJob(definition, args, options, deps.clock.now()));
  checkListed(partition, definition, made.job.queue);
  return made;
}

/** The core's names of fields, where the wire has others. */
const WIRE_NAMES: ReadonlyMap<string, string> = new Map([["runAt", "run_at"]]);

/** The core knows no list and no snake_case: it says `runAt`, the caller wrote `jobs.3.run_at`. */
async function asCalled<T>(at: readonly PropertyKey[], work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    throw new InvalidInput(fieldAt(at, WIRE_NAMES.get(error.field) ?? error.field), error.problem);
  }
}

function fieldAt(at: readonly PropertyKey[], field: string): string {
  return [...at, field].map(String).join(".");
}

function definitionOf(registry: Registry, name: string, field: string): JobDefinition {
  const definition = registry.get(name);
  if (definition !== undefined) return definition;
  const names = [...registry.keys()].sort();
  const listed = `${names.slice(0, NAMES_LISTED).join(", ")}${names.length > NAMES_LISTED ? ", …" : ""}`;
  throw new RequestRefused("unknown_job", `there is no job "${name}"; there are ${listed || "none"}`, field);
}

function checkListed(partition: Partition, definition: JobDefinition, queue: string): void {
  const listed = listedQueues(partition);
  if (listed.includes(queue)) return;
  throw new CommandRefused(
    "unknown_queue",
    `job ${definition.name} goes to queue "${queue}"; partition ${partition.id} has ${listed.join(", ") || "none"}`,
  );
}
