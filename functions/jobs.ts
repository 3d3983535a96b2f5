import type { OpenAPIHono, z } from "@hono/zod-openapi";
import type { BulkAccepted, JobDetail, JobPage, Problem } from "../client/views.ts";
import { InvalidInput } from "../core/contract/errors.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { type Registry, registryOf } from "../core/job/registry.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import { readJson } from "./body.ts";
import { knownPartition } from "./commands.ts";
import type { Deps, JobsDeps } from "./deps.ts";
import { enqueueEach, enqueueOne } from "./enqueue.ts";
import { newApp } from "./http.ts";
import { lambda } from "./lambda.ts";
import { readTasks, runningJobs } from "./live-tasks.ts";
import { RequestRefused, refusalOf } from "./problem.ts";
import { BulkBody, type JobsQuery } from "./requests.ts";
import * as routes from "./routes.ts";
import { argsOf, buriedView, failedAttemptView, parkedView, runningView } from "./wire.ts";

/** Jobs: enqueueing them, and where they are. */
export function jobsApp(deps: JobsDeps): OpenAPIHono {
  const app = newApp(deps.log);

  app.openapi(routes.enqueue, async (c) => {
    const partition = await knownPartition(deps, c.req.valid("param").partition);
    if (partition.status === "deleting") throw new CommandRefused("unknown_partition", `partition ${partition.id} is being deleted`);
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
    return c.json(await findJob(deps, partition, job), 200);
  });
  return app;
}

function isList(body: unknown): boolean {
  return typeof body === "object" && body !== null && Object.hasOwn(body, "jobs");
}

/** The list of answers as a problem: a client that looks at the status alone must not take it for success. */
function nothingAccepted(problems: readonly Problem[], answer: BulkAccepted): RequestRefused {
  // One item that would be taken a moment later makes the whole worth trying again.
  const code = problems.find(({ status }) => status === 503)?.code ?? "nothing_accepted";
  return new RequestRefused(code, `none of the ${problems.length} jobs was accepted; the first: ${problems[0]?.detail}`, undefined, {
    jobs: answer.jobs,
  });
}

async function listJobs(deps: Deps, partition: string, query: z.infer<typeof JobsQuery>): Promise<JobPage> {
  switch (query.state) {
    case "running": {
      if (query.cursor !== undefined) throw new InvalidInput("cursor", "running jobs are one page");
      const running = runningJobs(await readTasks(deps.store.tasks, deps.clock.now()), partition);
      return { jobs: running.slice(0, query.limit).map(({ job, report }) => runningView(job, report.boot)), cursor: null };
    }
    case "parked": {
      const { jobs, cursor } = await deps.store.parked.list(partition, query);
      return { jobs: jobs.map(parkedView), cursor: cursor ?? null };
    }
    case "buried": {
      const { jobs, cursor } = await deps.store.buried.list(partition, query);
      return { jobs: jobs.map(buriedView), cursor: cursor ?? null };
    }
  }
}

/**
 * Where a job is. Items are exact, reports are some seconds old: a parked item that is newer than the report that says
 * the job runs goes before it; an older one is about to be deleted by the pump that published it.
 */
async function findJob(deps: Deps, partition: string, id: string): Promise<JobDetail> {
  const [parked, buried, overview] = await Promise.all([
    deps.store.parked.get({ partition, id }),
    deps.store.buried.get(partition, id),
    readTasks(deps.store.tasks, deps.clock.now()),
  ]);
  if (buried !== undefined) return { ...buriedView(buried), args: argsOf(buried.body), history: buried.history.map(failedAttemptView) };
  const running = runningJobs(overview, partition).find(({ job }) => job.id === id);
  if (parked !== undefined && parked.since >= (running?.report.at ?? 0)) return { ...parkedView(parked), args: argsOf(parked.body) };
  if (running !== undefined) return runningView(running.job, running.report.boot);
  return { state: "unknown", job_id: id };
}

/** The user's jobs. `#jobs` is spelt out so that a bundler takes them in; any other module is read at run time. */
async function loadRegistry(module: string): Promise<Registry> {
  return registryOf(module === "#jobs" ? await import("#jobs") : await import(module));
}

export const handler = lambda(async (deps, environment) => jobsApp({ ...deps, registry: await loadRegistry(environment.jobs) }));
