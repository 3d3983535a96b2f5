import { randomBytes } from "node:crypto";
import { openBroker } from "../broker/broker.ts";
import { workerEnvironment } from "../client/environment.ts";
import { systemClock } from "../core/contract/clock.ts";
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

/** The ECS process: one task. Ends with 0 after a graceful stop, 1 when it could not start or lost its lease. */
const environment = workerEnvironment();
const { table, amqpUrl, pool, slots, healthPort, drainMs, reportMs } = environment;
const logger = openLog(environment.logLevel);
const emit = logEvents(logger);
const timings = { ...DEFAULT_TIMINGS, drain: drainMs, report: reportMs };

const exported = await importJobs(environment.jobs);
const task = await ecsTask(environment.ecsMetadataUri);
const boot = `${task?.id ?? "task"}-${randomBytes(4).toString("hex")}`;

const open = (): Store => openStore({ document: openDocument({}), table, clock: systemClock });

const worker = new Worker({
  boot,
  pool,
  slots,
  registry: registryOf(exported),
  hooks: hooksOf(exported),
  threads: new JobThreads(environment.jobs, slots, { emit }),
  // The lease has sockets of its own: however much else is asked of the table, a renewal never waits in line.
  store: { ...open(), tasks: open().tasks },
  broker: openBroker({ url: amqpUrl, name: `roger-worker ${boot}`, onEvent: logBroker(logger) }),
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
