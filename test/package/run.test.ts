import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, inject, it, onTestFinished, vi } from "vitest";
import { Pool } from "../fixture/pool.ts";
import { runChild } from "../infra/graph/child.ts";
import { execForm, named, readDockerfile } from "../infra/image/dockerfile.ts";

const application = inject("application");
const roger = join(application, "node_modules/roger-serverless");
/** What the image of a task runs. */
const command =
  named(readDockerfile(join(roger, "dist/worker/Dockerfile")).at(-1), "CMD")
    .map(execForm)[0]
    ?.slice(1) ?? [];

describe.each(Object.entries(inject("nodes")))("on Node %s", (major, node) => {
  it("is that Node", async () => {
    expect(await runChild(node, ["--version"])).toMatch(new RegExp(`^v${major}\\.`));
  });

  it("a worker of the application's own runs its TypeScript jobs, in the process and in threads", async () => {
    const { run, enqueue, lines } = await setUp(node);
    run(["worker.js"]);
    await enqueue("greet", "ada");
    await enqueue("greet-in-thread", "bob");
    await vi.waitFor(async () => expect((await lines()).toSorted()).toEqual(["greet ada in the process", "greet-in-thread bob in a thread"]), 20_000);
  });

  it("the image's command runs the jobs that ROGER_JOBS names, and ends well", async () => {
    const { run, enqueue, lines } = await setUp(node);
    const worker = run(command, { ROGER_JOBS: "./plain-jobs.js" });
    await enqueue("greet", "cyd");
    await vi.waitFor(async () => expect(await lines()).toEqual(["greet cyd in plain JavaScript"]), 20_000);
    worker.kill("SIGTERM");
    expect(await once(worker, "exit")).toEqual([0, null]);
  });

  it("the command line tells what it can do", async () => {
    const cli = join(application, "node_modules/.bin/roger");
    expect(await runChild(node, [cli, "--help"], { cwd: application })).toContain("reconfigure");
  });

  it.each([
    [{}, "ROGER_JOBS: must name the module that exports your jobs"],
    [{ ROGER_JOBS: "" }, "ROGER_JOBS: must name the module that exports your jobs"],
    [{ ROGER_JOBS: "./no-jobs.js" }, "./no-jobs.js exports no jobs"],
    [{ ROGER_JOBS: "./nowhere.js" }, "the jobs of ./nowhere.js can't be imported: Cannot find module"],
  ])("a worker that finds no jobs by %j says so", async (told, why) => {
    const env = { ROGER_AMQP_URL: inject("amqpUrl"), ...told };
    const worker = spawn(node, command, { cwd: application, env, stdio: ["ignore", "ignore", "pipe"] });
    const [said, [code]] = await Promise.all([text(worker.stderr), once(worker, "exit")]);
    expect(said).toContain(why);
    expect(code).toBe(1);
  });
});

/** A partition of its own on a table of its own; what runs in the application finds both by the environment. */
async function setUp(node: string) {
  const pool = await Pool.open(inject("amqpUrl"), []);
  const acme = pool.name("acme");
  await pool.start(acme, { default: 2 });
  const ledger = join(application, `ledger.${acme}`);
  const env = {
    ROGER_AMQP_URL: inject("amqpUrl"),
    ROGER_HEALTH_PORT: "0",
    AWS_ENDPOINT_URL_DYNAMODB: pool.endpoint,
    AWS_REGION: "local",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
  };
  return {
    run: (args: readonly string[], more: Readonly<Record<string, string>> = {}) => {
      const child = spawn(node, args, { cwd: application, env: { ...env, ...more }, stdio: ["ignore", "ignore", "inherit"] });
      onTestFinished(async () => {
        if (child.exitCode !== null) return;
        child.kill("SIGKILL");
        await once(child, "exit");
      });
      return child;
    },
    enqueue: (job: string, to: string) => runChild(node, ["enqueue.js", acme, job, JSON.stringify({ to, ledger })], { cwd: application, env }),
    lines: async () => (await readFile(ledger, "utf8")).trimEnd().split("\n"),
  };
}
