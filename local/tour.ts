import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../core/contract/clock.ts";
import { describeError, InvalidInput } from "../core/contract/errors.ts";
import { type Cloud, startCloud } from "./cloud.ts";
import type { CloudEvent } from "./cloud-events.ts";
import { HELP, type LocalSettings, localSettings, wantsHelp } from "./environment.ts";
import { Interrupted, watchInterrupts } from "./interrupt.ts";
import { isTerminal, print, printError, redraw } from "./printer.ts";
import { Progress } from "./progress.ts";
import { describeTaskEvent } from "./task-lines.ts";
import { tailOfLogs } from "./tour/logs.ts";
import { runTour, summary } from "./tour/tour.ts";
import { Checks, type World } from "./tour/world.ts";

/**
 * `npm run tour`: starts the whole of Roger on this machine, uses it as a user would, says what happened.
 * Ends with 0 only if everything was as it must be; 1 when something differed, 2 for bad options, 130 when it was interrupted.
 */
process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<number> {
  if (wantsHelp(argv)) {
    print(`npm run tour -- [options]\n\n${HELP}`);
    return 0;
  }
  let settings: LocalSettings;
  try {
    settings = localSettings(argv);
  } catch (error) {
    if (!(error instanceof InvalidInput)) throw error;
    printError(`${error.message}\n\n${HELP}`);
    return 2;
  }
  return tour(settings);
}

async function tour(settings: LocalSettings): Promise<number> {
  const startedAt = systemClock.monotonic();
  const progress = new Progress({ isTerminal, print, redraw }, systemClock);
  let cloud: Cloud | undefined;
  const interruption = watchInterrupts(systemClock, {
    onFirst: () => progress.line("stopping everything (again: at once)"),
    onSecond: () => {
      cloud?.kill();
      process.exit(130);
    },
  });
  const dir = await mkdtemp(join(tmpdir(), "roger-tour-"));
  try {
    progress.line("Roger starts on this machine");
    cloud = await startCloud(settings, (event) => tell(progress, event), interruption.signal);
    const world: World = { api: cloud.api, progress, checks: new Checks(), dir, clock: systemClock, signal: interruption.signal };
    await runTour(world);
    progress.line(summary(world, startedAt));
    if (world.checks.wrong.length === 0) return 0;
    progress.line(await tailOfLogs(cloud.logDir));
    return 1;
  } catch (error) {
    if (error instanceof Interrupted || interruption.signal.aborted) return 130;
    printError(`the tour could not go on: ${describeError(error).message}`);
    if (cloud !== undefined) progress.line(await tailOfLogs(cloud.logDir));
    return 1;
  } finally {
    await cloud?.stop();
    await rm(dir, { recursive: true, force: true });
    interruption.release();
  }
}

function tell(progress: Progress, event: CloudEvent): void {
  if (event.kind === "up") progress.line(`  ${event.part.padEnd(9)} ${event.how} (${(event.afterMs / 1000).toFixed(1)} s)`);
  if (event.kind === "progress") progress.line(`  ${event.line}`);
  const line = describeTaskEvent(event);
  if (line !== undefined) progress.line(`  ${line}`);
}
