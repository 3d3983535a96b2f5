import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { openBroker } from "../broker/broker.ts";
import { type WorkerEnvironment, workerEnvironment } from "../client/environment.ts";
import { systemClock } from "../core/contract/clock.ts";
import { describeError, RogerError } from "../core/contract/errors.ts";
import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import { hooksOf } from "../core/job/hooks.ts";
import { registryOf } from "../core/job/registry.ts";
import { openDocument } from "../store/client.ts";
import { openStore, type Store } from "../store/store.ts";
import { ecsTask } from "./ecs-metadata.ts";
import { JobThreads } from "./job-threads.ts";
import { importJobs } from "./jobs-module.ts";
import { jobLog, logBroker, logEvents, openLog } from "./log.ts";
import { ThreadWatchdog } from "./watchdog.ts";
import { Worker } from "./worker.ts";

export interface WorkerOptions {
  /**
   * The module that exports the jobs: a path from the working directory, or a URL, as `new URL("./jobs.ts", import.meta.url)`.
   * Never the jobs themselves: each thread of a job with `isolation: "thread"` imports the module, too. So not the module that
   * calls this function, either.
   * @default the environment's `ROGER_JOBS`
   */
  readonly jobs?: string | URL;
}

/**
 * Makes this process one task: it runs jobs until SIGTERM or SIGINT, lets those that run end, and exits with 0; with 1 when it
 * loses its lease. What else it needs to know is in its environment (client/environment.ts). Resolves once it runs.
 * @throws InvalidInput naming the option or the variable that is wrong
 */
export async function runWorker({ jobs }: WorkerOptions = {}): Promise<void> {
  const given = workerEnvironment();
  const environment = jobs === undefined ? given : { ...given, jobs: String(jobs) };
  const logger = openLog(environment.logLevel);
  const emit = logEvents(logger);
  const worker = await makeWorker(environment, logger);

  // A promise that a handler left behind must not take its neighbours down. (An exception outside any promise still ends
  // the process: what it interrupted is unknown.)
  process.on("unhandledRejection", (error) => emit({ type: "trouble", doing: "running a promise that nobody awaited", error }));
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      worker.stop().then(
        () => process.exit(0),
        (error: unknown) => {
          emit({ type: "trouble", doing: "stopping", error });
          process.exit(1);
        },
      );
    });
  }
  await worker.start();
}

/** @throws RogerError that names the module: what Node says of it names no setting, and not always the file */
async function jobsOf(specifier: string): Promise<Record<string, unknown>> {
  try {
    return await importJobs(specifier);
  } catch (cause) {
    if (cause instanceof RogerError) throw cause;
    throw new RogerError("jobs_unusable", `the jobs of ${specifier} can't be imported: ${describeError(cause).message}`, { cause });
  }
}

async function makeWorker(environment: WorkerEnvironment, logger: Logger): Promise<Worker> {
  const { table, amqpUrl, pool, slots, healthPort, drainMs, reportMs } = environment;
  const emit = logEvents(logger);
  const timings = { ...DEFAULT_TIMINGS, drain: drainMs, report: reportMs };
  const exported = await jobsOf(environment.jobs);
  const registry = registryOf(exported);
  // It would park every job as one whose name nobody knows.
  if (registry.size === 0) throw new RogerError("jobs_unusable", `${environment.jobs} exports no jobs: export const hello = defineJob({ … })`);
  const task = await ecsTask(environment.ecsMetadataUri);
  const boot = `${task?.id ?? "task"}-${randomBytes(4).toString("hex")}`;
  const open = (): Store => openStore({ document: openDocument({}), table, clock: systemClock });
  return new Worker({
    boot,
    pool,
    slots,
    registry,
    hooks: hooksOf(exported),
    threads: new JobThreads(environment.jobs, slots, { emit }),
    // The lease has sockets of its own: however much else is asked of the table, a renewal never waits in line.
    store: { ...open(), tasks: open().tasks },
    broker: openBroker({ url: amqpUrl, name: `roger-worker ${boot}`, asksBeforePublish: true, onEvent: logBroker(logger) }),
    watchdog: new ThreadWatchdog(timings.watchdog),
    clock: systemClock,
    timings,
    healthPort,
    ecs: { arn: task?.arn, agentUri: environment.ecsAgentUri },
    emit,
    makeLog: (run) => jobLog(logger, run),
    // Peers own what this task held: not another line of it may run.
    onDead: () => process.exit(1),
  });
}
