import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, glob, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../core/contract/clock.ts";
import { describeError } from "../core/contract/errors.ts";
import { watchInterrupts } from "../local/interrupt.ts";
import { print } from "../local/printer.ts";
import { whyNoDocker } from "../local/rabbitmq/docker.ts";
import type { Rabbit } from "../local/rabbitmq/rabbit.ts";
import { startRabbit } from "../local/rabbitmq/start.ts";
import { installSst } from "./infra/graph/install.ts";
import { type Counts, NOTHING, type Outcome, readReport } from "./report.ts";

/**
 * `npm test`: every check of this repository, one after the other, whatever the earlier ones found. `npm test -- types unit`
 * runs only those. Exits with 1 if any of them failed, with 130 if it was interrupted.
 */

interface Result extends Outcome {
  readonly ok: boolean;
  /** For people, beside the counts. */
  readonly remark?: string;
}

interface Step {
  readonly name: string;
  run(): Promise<Result>;
}

type Finished = readonly [Step, Result, ms: number];

const ROOT = join(import.meta.dirname, "..");
const VITEST = "node_modules/vitest/vitest.mjs";
/** test/global/rabbitmq.ts takes the broker that this names. */
const AMQP_URL = "ROGER_TEST_AMQP_URL";

/** Started by the first step that needs it. */
let rabbit: Promise<Rabbit> | undefined;

const STEPS: readonly Step[] = [
  { name: "types", run: () => tool("tsc", "-p", ".") },
  { name: "lint", run: () => tool("biome", "check", "--error-on-warnings") },
  { name: "unused", run: () => tool("knip") },
  { name: "unit", run: () => tests("unit") },
  { name: "contract", run: () => testsWithRabbit("contract") },
  { name: "integration", run: () => testsWithRabbit("integration") },
  { name: "sim", run: () => tests("sim") },
  { name: "infra", run: testsOfInfra },
  { name: "package", run: () => testsWithRabbit("package") },
  { name: "docker", run: testsWithDocker },
  // Last: it takes longest, for it waits for leases to run out.
  { name: "faults", run: () => testsWithRabbit("faults") },
];

const interruption = watchInterrupts(systemClock, {
  onFirst: () => print("\nstopping (again: at once)"),
  onSecond: () => process.exit(130),
});

process.exitCode = await main(process.argv.slice(2));

async function main(names: readonly string[]): Promise<number> {
  const unknown = names.filter((name) => !STEPS.some((step) => step.name === name));
  if (unknown.length > 0) {
    print(`no such step: ${unknown.join(", ")} (there are ${STEPS.map((step) => step.name).join(", ")})`);
    return 2;
  }
  const results = await runSteps(STEPS.filter((step) => names.length === 0 || names.includes(step.name)));
  if (interruption.signal.aborted) return 130;
  summarize(results);
  return results.every(([, { ok }]) => ok) ? 0 : 1;
}

/** All that they make for themselves is in one directory, and goes with it: also what an interrupted test had no time to remove. */
async function runSteps(chosen: readonly Step[]): Promise<readonly Finished[]> {
  const results: Finished[] = [];
  const directory = await mkdtemp(join(tmpdir(), "roger-test-"));
  await chmod(directory, 0o755); // not all that runs in it is root
  process.env.TMPDIR = directory;
  try {
    for (const step of chosen) {
      if (interruption.signal.aborted) break;
      if (!(await hasWork(step.name))) continue;
      print(`\n── ${step.name}`);
      results.push(await timed(step));
    }
  } finally {
    await stopRabbit();
    await rm(directory, { recursive: true, force: true, maxRetries: 5 });
  }
  return results;
}

async function timed(step: Step): Promise<Finished> {
  const start = systemClock.monotonic();
  return [step, await step.run(), systemClock.monotonic() - start];
}

/** A kind of tests without files is no step; tools always have work. */
async function hasWork(name: string): Promise<boolean> {
  if (["types", "lint", "unused"].includes(name)) return true;
  for await (const _ of glob(`test/${name}/**/*.test.ts`, { cwd: ROOT })) return true;
  return false;
}

function summarize(results: readonly Finished[]): void {
  print("");
  for (const [step, { failures }] of results) for (const failure of failures) print(`failed in ${step.name}: ${failure}`);
  const total = { ...NOTHING };
  for (const [step, result, ms] of results) {
    const verdict = result.ok ? "ok" : "FAILED";
    print(`${step.name.padEnd(12)} ${verdict.padEnd(7)} ${(ms / 1000).toFixed(1).padStart(6)} s  ${result.remark ?? sentence(result)}`.trimEnd());
    total.passed += result.passed;
    total.failed += result.failed;
    total.skipped += result.skipped;
  }
  print(sentence(total) || "0 passed, 0 failed");
}

function sentence({ passed, failed, skipped }: Counts): string {
  if (passed + failed + skipped === 0) return "";
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

async function tool(name: string, ...args: string[]): Promise<Result> {
  return { ok: (await node([`node_modules/.bin/${name}`, ...args])) === 0, ...NOTHING };
}

async function testsWithRabbit(kind: string): Promise<Result> {
  try {
    rabbit ??= startRabbit({ amqpUrl: process.env[AMQP_URL], onProgress: print });
    return await tests(kind, { [AMQP_URL]: (await rabbit).url });
  } catch (error) {
    print(describeError(error).message);
    return { ok: false, ...NOTHING, failed: 1, remark: "no RabbitMQ" };
  }
}

/** One that did not start has been told of. */
async function stopRabbit(): Promise<void> {
  const started = await rabbit?.catch(() => undefined);
  await started?.stop();
}

/** The infrastructure has types of its own: SST's globals, which are there once it is installed. */
async function testsOfInfra(): Promise<Result> {
  try {
    await installSst();
  } catch (error) {
    print(describeError(error).message);
    return { ok: false, ...NOTHING, failed: 1, remark: "SST could not be installed" };
  }
  const types = await tool("tsc", "-p", "tsconfig.infra.json");
  const result = await testsWithRabbit("infra");
  return { ...result, ok: types.ok && result.ok };
}

/** What needs a container, or an emulator of AWS that runs already; whatever is not there is skipped by name, and counted. */
async function testsWithDocker(): Promise<Result> {
  const result = await tests("docker");
  const closed = await whyNoDocker();
  return closed === undefined || result.skipped === 0 ? result : { ...result, remark: `${sentence(result)}: ${closed}` };
}

async function tests(kind: string, env: Readonly<Record<string, string>> = {}): Promise<Result> {
  const report = join(tmpdir(), `${kind}.json`);
  const status = await node([VITEST, "run", "--project", kind, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`], env);
  const outcome = await readReport(report);
  // A file that can't be loaded and an error outside of every test have no test to count.
  return { ok: status === 0, ...outcome, failed: status === 0 ? outcome.failed : Math.max(1, outcome.failed) };
}

/** Runs a program of ours with the pinned Node. */
async function node(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: "inherit", env: { ...process.env, ...env } });
  const stop = (): void => void child.kill("SIGINT");
  interruption.signal.addEventListener("abort", stop);
  const [code] = (await once(child, "close")) as [number | null];
  interruption.signal.removeEventListener("abort", stop);
  return code ?? 1;
}
