import { systemClock } from "../core/contract/clock.ts";
import { describeError, InvalidInput } from "../core/contract/errors.ts";
import { DEFAULT_QUEUE } from "../core/contract/names.ts";
import { type Cloud, startCloud } from "./cloud.ts";
import type { CloudEvent } from "./cloud-events.ts";
import { HELP, type LocalSettings, localSettings, wantsHelp } from "./environment.ts";
import { watchInterrupts } from "./interrupt.ts";
import { print, printError } from "./printer.ts";
import { type SampleJob, sampleJob } from "./sample-job.ts";
import { describeTaskEvent } from "./task-lines.ts";

/** `npm start`: the whole of Roger on this machine, until Ctrl-C. Ends with 0 after an orderly stop, 1 when it failed, 2 for bad options. */
process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  if (wantsHelp(argv)) {
    print(`npm start -- [options]\n\n${HELP}`);
    return 0;
  }
  try {
    return await stayUp(localSettings(argv));
  } catch (error) {
    if (!(error instanceof InvalidInput)) {
      printError(`Roger could not start: ${describeError(error).message}`);
      return 1;
    }
    printError(`${error.message}\n\n${HELP}`);
    return 2;
  }
}

async function stayUp(settings: LocalSettings): Promise<number> {
  let cloud: Cloud | undefined;
  const interruption = watchInterrupts(systemClock, {
    onFirst: () => print("stopping: running jobs may finish (Ctrl-C again ends them at once)"),
    onSecond: () => {
      cloud?.kill();
      process.exit(130);
    },
  });
  try {
    cloud = await startCloud(settings, tell, interruption.signal);
    print(usage(cloud, (await sampleJob(cloud.jobs, systemClock.now())) ?? unknownArgs(cloud)));
    print(`ready ${cloud.url}`);
    await aborted(interruption.signal);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    await cloud?.stop();
    interruption.release();
  }
  return 0;
}

function tell(event: CloudEvent): void {
  if (event.kind === "up") print(`${event.part.padEnd(9)} ${event.how} (${(event.afterMs / 1000).toFixed(1)} s)`);
  if (event.kind === "progress") print(event.line);
  const line = describeTaskEvent(event);
  if (line !== undefined) print(line);
}

/** The API says which args are missing. */
function unknownArgs({ jobs }: Cloud): SampleJob {
  const [name = ""] = jobs.keys();
  return { name, args: {}, queue: DEFAULT_QUEUE };
}

/** Every line of it works when it is pasted. */
function usage({ url, logDir }: Cloud, { name, args, queue }: SampleJob): string {
  const body = JSON.stringify({ name, args });
  const queues = { [DEFAULT_QUEUE]: 10, other: 2, ...(queue === DEFAULT_QUEUE ? {} : { [queue]: 2 }) };
  const list = Object.entries(queues).map(([type, most]) => `${type}=${most}`);
  const roger = url === "http://127.0.0.1:3000" ? "npx roger" : `ROGER_API=${url} npx roger`;
  return `
With curl:
  curl -X POST ${url}/partitions/acme/start -d '${shellSafe(JSON.stringify({ queues }))}'
  curl -X POST ${url}/partitions/acme/jobs -d '${shellSafe(body)}'
  curl ${url}/partitions/acme
  curl -X POST ${url}/partitions/acme/safe-stop
Or with the command line:
  ${roger} start acme ${list.join(" ")}
  ${roger} enqueue acme ${name} '${shellSafe(JSON.stringify(args))}'
  ${roger} tasks
  ${roger} help
The API is described by ${url}/openapi.json, the workers' logs are in ${logDir}
`;
}

/** Between single quotes. */
function shellSafe(text: string): string {
  return text.replaceAll("'", "'\\''");
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
