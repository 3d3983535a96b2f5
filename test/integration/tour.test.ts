import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, inject, it, vi } from "vitest";
import { RogerApi } from "../../client/api.ts";
import { ROOT } from "../../local/environment.ts";
import { alive } from "../fixture/alive.ts";

/** All that the programs leave behind would be in here. */
let dir: string;
let running: Program[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "roger-test-"));
  await mkdir(join(dir, "tmp"));
  running = [];
});

afterEach(async () => {
  for (const program of running) await program.end("SIGKILL");
  await rm(dir, { recursive: true, force: true });
});

it("npm run tour: everything is as it must be, and nothing is left", async () => {
  const tour = run("local/tour.ts", ["--port", "0"]);
  expect(await tour.exit, tour.output()).toBe(0);
  expect(tour.output()).toContain("400 of 400 right");
  expect(tour.output()).toMatch(/^15 of 15 checks right/m);
  // A terminal of 80 columns wraps none of its lines.
  expect(
    tour
      .output()
      .split("\n")
      .filter((line) => line.length > 80),
  ).toEqual([]);
  await nothingLeft(tour);
}, 240_000);

it("npm run tour, interrupted: everything is stopped, and nothing is left", async () => {
  const tour = run("local/tour.ts", ["--port", "0"], { ROGER_AMQP_URL: inject("amqpUrl") });
  await tour.says(/^1\. /m);
  await tour.says(/^ {2}task \w+ runs/m);
  await tour.end("SIGINT");
  expect(await tour.exit, tour.output()).toBe(130);
  await nothingLeft(tour);
}, 120_000);

it("npm start: serves until SIGTERM; what --data keeps is there at the next start", async () => {
  const args = ["--port", "0", "--tasks", "1", "--data", join(dir, "data")];
  const partition = `kept-${process.pid}`;
  const first = await ready(run("local/start.ts", args, { ROGER_AMQP_URL: inject("amqpUrl") }));
  const started = await first.api.start(partition, { queues: { default: 1 } }, { wait: 20 });
  expect(started).toMatchObject({ id: partition, status: "running" });
  await first.program.end("SIGTERM");
  expect(await first.program.exit, first.program.output()).toBe(0);

  const second = await ready(run("local/start.ts", args, { ROGER_AMQP_URL: inject("amqpUrl") }));
  expect(await second.api.partition(partition)).toMatchObject({ status: "running" });
  await second.api.stop(partition, { wait: 20 });
  expect(await second.api.delete(partition, { force: true })).toBeDefined();
  await second.program.end("SIGTERM");
  expect(await second.program.exit, second.program.output()).toBe(0);
  await nothingLeft(first.program);
  await nothingLeft(second.program);
}, 120_000);

it("npm start --jobs: jobs of another directory run with nothing installed there, in a thread, too", async () => {
  const jobs = join(dir, "jobs.ts");
  const hello = (name: string, more: string) =>
    `export const ${name} = defineJob({ name: "${name}", args: z.object({}), perform() { throw new Discard("from ${name}"); }, ${more} });`;
  const imports = 'import { defineJob, Discard } from "roger-serverless";\nimport { z } from "zod";';
  await writeFile(jobs, [imports, hello("here", ""), hello("aside", 'isolation: "thread"')].join("\n"));
  const { program, api } = await ready(run("local/start.ts", ["--port", "0", "--tasks", "1", "--jobs", jobs], { ROGER_AMQP_URL: inject("amqpUrl") }));
  const partition = `outside-${process.pid}`;
  await api.start(partition, { queues: { default: 2 } });
  for (const name of ["here", "aside"]) await api.enqueue(partition, { name });
  await vi.waitFor(
    async () => {
      const buried = (await api.jobs(partition, { state: "buried" })).jobs;
      expect(buried.map((job) => job.state === "buried" && [job.reason, job.error.message]).sort()).toEqual([
        ["discarded", "from aside"],
        ["discarded", "from here"],
      ]);
    },
    { timeout: 60_000, interval: 250 },
  );
  await api.stop(partition, { wait: 20 });
  await api.delete(partition, { force: true });
  await program.end("SIGTERM");
  expect(await program.exit, program.output()).toBe(0);
  await nothingLeft(program);
}, 120_000);

it("npm start, asked to end twice: tasks are ended at once, whatever they do", async () => {
  const { program, api } = await ready(run("local/start.ts", ["--port", "0", "--tasks", "1"], { ROGER_AMQP_URL: inject("amqpUrl") }));
  const partition = `hasty-${process.pid}`;
  await api.start(partition, { queues: { default: 1 } });
  await api.enqueue(partition, { name: "sleep", args: { seconds: 600 } });
  await vi.waitFor(
    async () => {
      // In this order: what is no longer parked, and then not in its queue either, runs.
      expect((await api.jobs(partition, { state: "parked" })).jobs).toEqual([]);
      expect((await api.peek(partition, "default")).jobs).toEqual([]);
    },
    { timeout: 60_000, interval: 250 },
  );
  program.signal("SIGTERM");
  await program.says(/^stopping/m);
  // One wish may come twice within a second, so a second one is repeated until it is heard.
  const again = setInterval(() => program.signal("SIGTERM"), 200);
  expect(await program.exit, program.output()).toBe(130);
  clearInterval(again);
  await vi.waitFor(() => expect(pidsOf(program).filter(alive)).toEqual([]), { timeout: 60_000, interval: 50 });
});

it("a port that is taken is said so, and what had started is stopped", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const start = run("local/start.ts", ["--port", String(port)], { ROGER_AMQP_URL: inject("amqpUrl") });
  expect(await start.exit, start.output()).toBe(1);
  expect(start.output()).toContain(`port ${port} is in use`);
  server.close();
  await nothingLeft(start);
});

it("bad options are refused before anything starts", async () => {
  const start = run("local/start.ts", ["--tasks", "3..1"]);
  expect(await start.exit).toBe(2);
  expect(start.output()).toContain("--tasks");
  const tour = run("local/tour.ts", ["--frobnicate"]);
  expect(await tour.exit).toBe(2);
  expect(tour.output()).toContain("--frobnicate");
});

interface Program {
  readonly exit: Promise<number | null>;
  output(): string;
  says(pattern: RegExp): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  /** Sends the signal and waits for the end. */
  end(signal: NodeJS.Signals): Promise<void>;
}

function run(script: string, args: readonly string[], env: Record<string, string> = {}): Program {
  const child: ChildProcess = spawn(process.execPath, [join(ROOT, script), ...args], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: join(dir, "tmp"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
  }
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  const program: Program = {
    exit,
    output: () => text,
    says: (pattern) =>
      vi.waitFor(
        () => {
          const found = pattern.exec(text);
          if (found === null) throw new Error(`it has not said ${pattern} but:\n${text}`);
          return found;
        },
        { timeout: 90_000, interval: 100 },
      ),
    signal: (signal) => void child.kill(signal),
    async end(signal) {
      child.kill(signal);
      await exit;
    },
  };
  running.push(program);
  return program;
}

async function ready(program: Program): Promise<{ program: Program; api: RogerApi }> {
  const [, url = ""] = await program.says(/^ready (http:\/\/127\.0\.0\.1:\d+)$/m);
  return { program, api: new RogerApi(url) };
}

/** No worker lives on, no directory was forgotten. */
async function nothingLeft(program: Program): Promise<void> {
  expect(pidsOf(program)).not.toEqual([]);
  expect(pidsOf(program).filter(alive)).toEqual([]);
  expect(await readdir(join(dir, "tmp"))).toEqual([]);
}

/** Of all workers that it started. */
function pidsOf(program: Program): number[] {
  return [...program.output().matchAll(/\(pid (\d+)\)/g)].map(([, pid]) => Number(pid));
}
