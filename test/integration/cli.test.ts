import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { composeApp } from "../../functions/app.ts";
import { type Gateway, startGateway } from "../../local/gateway.ts";
import { apiWorld, freshPartition } from "../api-world.ts";

const BIN = fileURLToPath(new URL("../../cli/roger.mjs", import.meta.url));
const world = apiWorld();
let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({ app: composeApp(world.deps), port: 0 });
});
afterAll(() => gateway.stop());

interface Call {
  readonly stdin?: string;
  readonly api?: string;
  readonly node?: readonly string[];
}

/** Runs the bin as a user's shell would. */
async function roger(args: readonly string[], { stdin = "", api = gateway.url, node = [] }: Call = {}) {
  const child = spawn(process.execPath, [...node, BIN, ...args], { env: { ...process.env, ROGER_API: api, NODE_OPTIONS: "" }, stdio: "pipe" });
  child.stdin.end(stdin);
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { out, err, code };
}

describe("roger", () => {
  it("takes a partition through its life", async () => {
    const p = freshPartition();
    const start = await roger(["start", p, "default=10", "other=2", "--pool", "big:video=1"]);
    expect(start).toMatchObject({ code: 0, err: "" });
    expect(start.out.split("\n")).toEqual([
      `${p} is running, revision 1`,
      "QUEUE    POOL     MAX  HELD  RUNNING  READY  TASKS",
      "default  default   10     0        0      -      0",
      "other    default    2     0        0      -      0",
      "video    big        1     0        0      -      0",
      "0 of 0 tasks are up to date",
      "",
    ]);
    expect((await roger(["pause", p, "default"])).out).toContain("paused");
    const id = (await roger(["enqueue", p, "greet", "-", "--delay", "60"], { stdin: '{"who":"you"}' })).out.trim();
    expect((await roger(["jobs", p, id])).out).toContain("parked");
    expect((await roger(["jobs", p, "--state", "parked"])).out).toContain(id);
    expect((await roger(["partitions"])).out).toContain(p);
    expect((await roger(["stop", p])).out).toContain(`${p} is stopped`);
    const refused = await roger(["delete", p]);
    expect(refused).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/^error: .* \(not_empty\)\n$/) });
    expect(await roger(["delete", p, "--force"])).toMatchObject({ code: 0, out: `${p} is deleted\n` });
  });

  it("prints the API's answers as they are with --json, refusals too", async () => {
    const p = freshPartition();
    const start = await roger(["start", p, "default=1", "--json"]);
    const same = await (await fetch(`${gateway.url}/partitions/${p}`)).text();
    expect(start.out).toBe(`${same}\n`);
    const refused = await roger(["pause", p, "nope", "--json"]);
    expect([refused.code, JSON.parse(refused.out)]).toMatchObject([1, { status: 404, code: "unknown_queue" }]);
  });

  it("says where it looked when nobody is there", async () => {
    const gone = await startGateway({ app: { fetch: () => new Response() }, port: 0 });
    await gone.stop();
    expect(await roger(["tasks"], { api: gone.url })).toMatchObject({ code: 3, err: expect.stringContaining(gone.url) });
    expect(await roger(["tasks", "--api", gone.url])).toMatchObject({ code: 3, out: "" });
    expect((await roger(["tasks"], { api: "nowhere" })).code).toBe(2);
  });

  it("hands over to the Node among the dependencies where its own runs no TypeScript", async () => {
    const old = { node: ["--no-experimental-strip-types"] };
    expect(await roger(["tasks"], old)).toMatchObject({ code: 0, out: "no tasks\n", err: "" });
    expect((await roger(["nonsense"], old)).code).toBe(2);
  });
});
