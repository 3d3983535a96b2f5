import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { composeApp } from "../../functions/app.ts";
import { type Gateway, startGateway } from "../../local/gateway.ts";
import { apiWorld, buriedJob, freshPartition } from "../api-world.ts";

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
function roger(args: readonly string[], { stdin = "", api = gateway.url, node = [] }: Call = {}) {
  const child = spawn(process.execPath, [...node, BIN, ...args], { env: { ...process.env, ROGER_API: api, NODE_OPTIONS: "" }, stdio: "pipe" });
  child.stdin.end(stdin);
  return ended(child);
}

function shell(line: string) {
  return ended(spawn("sh", ["-c", line], { env: { ...process.env, NODE_OPTIONS: "" }, stdio: "pipe" }));
}

async function ended(child: ChildProcessWithoutNullStreams) {
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
    expect((await roger(["start", p])).out).toMatch(new RegExp(`^${p} is running, .*\nother +default +2 .*\nvideo +big +1 `, "s"));
    await roger(["stop", p]);
    const refused = await roger(["delete", p]);
    expect(refused).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/^error: .* \(not_empty\)\nhint: roger delete --force .*\n$/) });
    expect(await roger(["delete", p, "--force"])).toMatchObject({ code: 0, out: `${p} is deleted\n` });
  });

  it("enqueues with an id, explains, cancels", async () => {
    const p = freshPartition();
    await roger(["start", p, "default=1"]);
    const enqueue = ["enqueue", p, "greet", '{"who":"you"}', "--id", "mine", "--delay", "60"];
    expect(await roger(enqueue)).toMatchObject({ code: 0, out: "mine\n" });
    const again = await roger([...enqueue, "--json"]);
    expect([again.code, again.err]).toEqual([1, "error: job mine has the same key (duplicate_job)\n"]);
    expect(JSON.parse(again.out)).toMatchObject({ status: 409, existing_job_id: "mine" });
    expect((await roger(["job", p, "mine"])).out).toMatch(/^mine is parked\n.*\ngreet .* delayed, due .*\nargs \{"who":"you"\}\n$/);
    const explained = await roger(["explain", p, "mine"]);
    expect(explained.out).toMatch(
      /^mine is parked\n {2}its enqueuer wanted it later.* \(parked_until\)\n {2}no task of pool default.* \(no_task\)\n$/,
    );
    expect((await roger(["cancel", p, "mine"])).out).toBe("mine is cancelled: it will not run\n");
    expect((await roger(["job", p, "mine"])).out).toBe("mine was cancelled: it will not start any more\n");
    expect((await roger(["cancel", p, "other"])).out).toContain("other is being cancelled");
    expect((await roger(["job", p, "never"])).out).toContain("plain jobs leave no trace");
    expect(await roger(["explain", "nobody", "x"])).toMatchObject({ code: 1, err: expect.stringContaining("(unknown_partition)") });
  });

  it("lists, shows, retries and deletes buried jobs", async () => {
    const p = freshPartition();
    await roger(["start", p, "default=1"]);
    expect((await roger(["buried", p])).out).toBe("no buried jobs\n");
    for (const id of ["b1", "b2", "b3", "b4"]) await world.store.buried.bury(buriedJob(p, { id }));
    await world.store.buried.bury({ ...buriedJob(p, { id: "b5" }), body: "no job" });
    expect((await roger(["buried", p, "list", "--limit", "2"])).out).toMatch(/b1 .*failed: no\n.*b2 .*\nmore: --cursor \S+, or --all\n$/s);
    expect((await roger(["buried", p, "show", "b1"])).out).toMatch(/^b1 is buried\n.*args \{"who":"you"\}\n.*Error: no\n$/s);
    expect((await roger(["buried", p, "retry", "b1"])).out).toBe("b1 is on its way again\n");
    expect(await roger(["buried", p, "retry", "b1"])).toMatchObject({ code: 1, err: expect.stringContaining("(not_buried)") });
    expect((await roger(["buried", p, "delete", "b2"])).out).toBe("b2 is deleted\n");
    expect((await roger(["buried", p, "retry", "--all", "--name", "nope"])).out).toBe("0 jobs are on their way again\n");
    const all = await roger(["buried", p, "retry", "--all"]);
    expect(all.out).toMatch(/^2 jobs are on their way again\nSTAYS BURIED +WHY\nb5 +not_retryable\n$/);
    expect(JSON.parse((await roger(["buried", p, "retry", "--all", "--json"])).out)).toMatchObject({ retried: 0, failed: [{ job_id: "b5" }] });
  });

  it("lists every page with --all, as one document with --json", async () => {
    const p = freshPartition();
    await roger(["start", p, "default=1"]);
    const ids = Array.from({ length: 120 }, (_, i) => `b${String(i).padStart(3, "0")}`);
    for (const id of ids) await world.store.buried.bury(buriedJob(p, { id }));
    const listed = JSON.parse((await roger(["buried", p, "--all", "--json"])).out);
    expect([listed.jobs.map(({ job_id }: { job_id: string }) => job_id), listed.cursor]).toEqual([ids, null]);
    const lines = (await roger(["jobs", p, "--state", "buried", "--all"])).out.split("\n");
    expect([lines.length, lines[0], lines.at(-2)]).toEqual([122, expect.stringMatching(/^JOB /), expect.stringMatching(/^b119 /)]);
    const refused = await roger(["jobs", "nobody", "--all", "--json"]);
    expect([refused.code, JSON.parse(refused.out)]).toMatchObject([1, { code: "unknown_partition" }]);
  });

  it("peeks and purges until nothing is left", async () => {
    const p = freshPartition();
    await roger(["start", p, "default=1"]);
    world.queues.bodies.set(`${p}-default`, [Buffer.from("x"), Buffer.from("y")]);
    expect((await roger(["peek", p, "default"])).out).toContain("not a job, 1 bytes");
    expect((await roger(["purge", p, "default"])).out).toBe("2 jobs removed\n");
    expect((await roger(["purge", p, "default", "--json"])).out).toBe('{"removed":0,"more":false,"cursor":null}\n');
    // More than one request takes.
    world.queues.bodies.set(`${p}-default`, Array(2_001).fill(Buffer.from("x")));
    expect(await roger(["purge", p, "default"])).toMatchObject({ out: "2001 jobs removed\n", err: "2001 removed so far\n", code: 0 });
    expect((await roger(["peek", p, "default"])).out).toBe("nothing waits there\n");
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

  it("takes a reader that has gone for no error, and a full disk for one", async () => {
    const gone = await shell(`{ "${process.execPath}" "${BIN}" help; echo "ended with $?" >&2; } | true`);
    expect(gone).toEqual({ out: "", err: "ended with 0\n", code: 0 });
    const full = await shell(`"${process.execPath}" "${BIN}" help > /dev/full`);
    expect(full).toMatchObject({ err: expect.stringMatching(/^error: the answer can't be written: ENOSPC.*\n$/), code: 1 });
  });

  it("hands over to the Node among the dependencies where its own runs no TypeScript", async () => {
    const old = { node: ["--no-experimental-strip-types"] };
    expect(await roger(["tasks"], old)).toMatchObject({ code: 0, out: "no tasks\n", err: "" });
    expect((await roger(["nonsense"], old)).code).toBe(2);
  });
});
