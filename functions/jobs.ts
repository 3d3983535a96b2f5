import type { OpenAPIHono, z } from "@hono/zod-openapi";
import type { BulkAccepted, JobPage, Problem } from "../client/views.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { reportedRuns } from "../core/job/place.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import type { Partition } from "../core/partition/partition.ts";
import { decodeCursor, encodeCursor } from "../store/cursor.ts";
import { readBody, readJson } from "./body.ts";
import { buriedJob, deleteBuried, retryAllBuried, retryBuried } from "./buried.ts";
import { cancel } from "./cancel.ts";
import { knownPartition } from "./commands.ts";
import type { Deps, JobsDeps } from "./deps.ts";
import { enqueueEach, enqueueOne } from "./enqueue.ts";
import { explain } from "./explain.ts";
import { findJob } from "./find-job.ts";
import { newApp } from "./http.ts";
import { buriedDetail, buriedView, jobDetail, parkedView, runningView } from "./job-views.ts";
import { type LambdaHandler, lambda } from "./lambda.ts";
import { liveReports, readTasks } from "./live-tasks.ts";
import { RequestRefused, refusalOf } from "./problem.ts";
import { type JobsImport, loadRegistry } from "./registry.ts";
import { BulkBody, type JobsQuery, NoBody, RetryBuriedBody } from "./requests.ts";
import * as routes from "./routes.ts";

/** Jobs: enqueueing and cancelling them, where they are and why, and the dead ones. */
export function jobsApp(deps: JobsDeps): OpenAPIHono {
  const app = newApp(deps.log);

  app.openapi(routes.enqueue, async (c) => {
    const partition = await acceptingPartition(deps, c.req.valid("param").partition);
    const context = { deps, partition, traceparent: c.req.header("traceparent") };
    const body = await readJson(c, LIMITS.bulkBytes);
    if (!isList(body)) return c.json(await enqueueOne(context, body), 202);

    const list = BulkBody.safeParse(body);
    if (!list.success) throw refusalOf(list.error.issues);
    const answer = await enqueueEach(context, list.data.jobs);
    const problems = answer.jobs.flatMap((job) => ("error" in job ? [job.error] : []));
    if (problems.length === answer.jobs.length) throw nothingAccepted(problems, answer);
    return c.json(answer, 202);
  });
  app.openapi(routes.listJobs, async (c) => {
    const { partition } = c.req.valid("param");
    await knownPartition(deps, partition);
    return c.json(await listJobs(deps, partition, c.req.valid("query")), 200);
  });
  app.openapi(routes.getJob, async (c) => {
    const { partition, job } = c.req.valid("param");
    await knownPartition(deps, partition);
    return c.json(jobDetail(deps.registry, job, await findJob(deps, partition, job)), 200);
  });
  app.openapi(routes.explainJob, async (c) => {
    const { partition: id, job } = c.req.valid("param");
    const [partition, found] = await Promise.all([knownPartition(deps, id), findJob(deps, id, job)]);
    return c.json(explain(job, found, { partition, registry: deps.registry, now: deps.clock.now() }), 200);
  });
  app.openapi(routes.cancelJob, async (c) => {
    await readBody(c, NoBody);
    const { partition, job } = c.req.valid("param");
    await knownPartition(deps, partition);
    return c.json(await cancel(deps, partition, job), 202);
  });
  addBuried(app, deps);
  return app;
}

function addBuried(app: OpenAPIHono, deps: JobsDeps): void {
  app.openapi(routes.getBuried, async (c) => {
    const { partition, job } = c.req.valid("param");
    await knownPartition(deps, partition);
    return c.json(buriedDetail(deps.registry, await buriedJob(deps, partition, job)), 200);
  });
  app.openapi(routes.retryBuried, async (c) => {
    await readBody(c, NoBody);
    const { partition: id, job } = c.req.valid("param");
    const partition = await acceptingPartition(deps, id);
    await retryBuried(deps, partition, await buriedJob(deps, id, job));
    return c.json({ job_id: job }, 202);
  });
  app.openapi(routes.retryAllBuried, async (c) => {
    const which = await readBody(c, RetryBuriedBody);
    const partition = await acceptingPartition(deps, c.req.valid("param").partition);
    return c.json(await retryAllBuried(deps, partition, which), 202);
  });
  app.openapi(routes.deleteBuried, async (c) => {
    const { partition, job } = c.req.valid("param");
    await knownPartition(deps, partition);
    await deleteBuried(deps, await buriedJob(deps, partition, job));
    return c.json({ job_id: job }, 200);
  });
}

/** @throws CommandRefused `unknown_partition`, also for one that is being deleted */
async function acceptingPartition(deps: Deps, id: string): Promise<Partition> {
  const partition = await knownPartition(deps, id);
  if (partition.status === "deleting") throw new CommandRefused("unknown_partition", `partition ${id} is being deleted`);
  return partition;
}

function isList(body: unknown): boolean {
  return typeof body === "object" && body !== null && Object.hasOwn(body, "jobs");
}

/** The list of answers as a problem: a client that looks at the status alone must not take it for success. */
function nothingAccepted(problems: readonly Problem[], answer: BulkAccepted): RequestRefused {
  // One item that would be taken a moment later makes the whole worth trying again. All there already: a repeated request.
  const duplicates = problems.every(({ code }) => code === "duplicate_job");
  const code = problems.find(({ status }) => status === 503)?.code ?? (duplicates ? "duplicate_job" : "nothing_accepted");
  return new RequestRefused(code, `none of the ${problems.length} jobs was accepted; the first: ${problems[0]?.detail}`, undefined, {
    jobs: answer.jobs,
  });
}

async function listJobs(deps: Deps, partition: string, query: z.infer<typeof JobsQuery>): Promise<JobPage> {
  switch (query.state) {
    case "running":
      return listRunning(deps, partition, query);
    case "parked": {
      const { jobs, cursor } = await deps.store.parked.list(partition, query);
      return { jobs: jobs.map((job) => parkedView(job)), cursor: cursor ?? null };
    }
    case "buried": {
      const { jobs, cursor } = await deps.store.buried.list(partition, query);
      return { jobs: jobs.map((job) => buriedView(job)), cursor: cursor ?? null };
    }
  }
}

const RUNNING = "running";

/** In the order of their ids, as the others. */
async function listRunning(deps: Deps, partition: string, { limit, cursor }: z.infer<typeof JobsQuery>): Promise<JobPage> {
  const after = decodeCursor(RUNNING, cursor) ?? "";
  const runs = reportedRuns(liveReports(await readTasks(deps.store.tasks, deps.clock.now())), partition);
  const rest = [...runs.values()].filter(({ job }) => job.id > after).sort((a, b) => (a.job.id < b.job.id ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = page.length < rest.length ? page.at(-1) : undefined;
  return {
    jobs: page.map(({ job, report }) => runningView(job, report.boot)),
    cursor: last === undefined ? null : encodeCursor(RUNNING, last.job.id),
  };
}

/** The Lambda for an application's jobs. @param jobs @default the module that `ROGER_JOBS` names */
export function handlerFor(jobs?: JobsImport): LambdaHandler {
  return lambda(async (deps, environment) => jobsApp({ ...deps, registry: await loadRegistry(jobs ?? environment.jobs) }));
}

export const handler = handlerFor();
