import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { RunAborted } from "../../core/job/abort.ts";
import type { Delivery } from "../../core/job/broker.ts";
import type { JobLog } from "../../core/job/context.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import { Discard, RetryAfter, Snooze } from "../../core/job/verdicts.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { JobThreads, type JobThreadsOptions } from "../../worker/job-threads.ts";
import { Run } from "../../worker/run.ts";

const JOBS = fileURLToPath(new URL("../fixture/thread-jobs.ts", import.meta.url));
const envelope: Envelope = { v: 1, id: "job-1", name: "x", args: {}, partition: "acme", queue: "default", attempt: 3, enqueued_at: 17 };
/** Long enough that no test waits for it. */
const PATIENT = 60_000;

type Line = readonly [level: string, message: string, fields: Record<string, unknown> | undefined];

class LoggedRun extends Run {
  readonly lines: Line[] = [];

  constructor() {
    const write = (level: string) => (message: string, fields?: Record<string, unknown>) => void this.lines.push([level, message, fields]);
    const log: JobLog = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
    super({ delivery: {} as Delivery, receivedAt: 0, startedAt: 0, makeLog: () => log });
    this.decoded(envelope);
  }

  says(message: string): Promise<void> {
    return vi.waitFor(() => expect(this.lines.map(([, said]) => said)).toContain(message), { timeout: 20_000 });
  }
}

function threads(slots = 4, options: JobThreadsOptions & { readonly module?: string } = {}): JobThreads {
  const made = new JobThreads(options.module ?? JOBS, slots, options);
  onTestFinished(() => made.stop());
  return made;
}

async function thrownBy(made: JobThreads, name: string, args: object = {}, { run = new LoggedRun(), graceMs = PATIENT } = {}): Promise<unknown> {
  try {
    await made.perform(run, name, args, graceMs);
  } catch (error) {
    return error;
  }
  throw new Error(`${name} threw nothing`);
}

describe("a job thread", () => {
  it("gives the handler parsed args and a whole context", async () => {
    const run = new LoggedRun();
    run.token = 42;
    await threads().perform(run, "describe", { customer: "Ada" }, PATIENT);
    const { id, name, partition, queue } = envelope;
    const job = { id, name, partition, queue, enqueuedAt: 17 };
    expect(run.lines).toEqual([["info", "hello Ada", { job, attempt: 3, token: 42, isMainThread: false, aborted: false }]]);
    expect(run.progressed).toBe(0.5);
  });

  it("is made for the first job, used for the next, never shared, and ends when it has been idle", async () => {
    const made = threads(2, { idleMs: 100 });
    expect(made.size).toBe(0);
    const first = new LoggedRun();
    const second = new LoggedRun();
    await made.perform(first, "thread", {}, PATIENT);
    await made.perform(second, "thread", {}, PATIENT);
    expect(second.lines).toEqual(first.lines);
    expect(made.size).toBe(1);
    const held = new LoggedRun();
    const holding = thrownBy(made, "obey", {}, { run: held });
    await held.says("waits");
    const beside = new LoggedRun();
    await made.perform(beside, "thread", {}, PATIENT);
    expect(beside.lines).not.toEqual(first.lines);
    held.abort("shutdown");
    await holding;
    await vi.waitFor(() => expect(made.size).toBe(0), 10_000);
  });

  it("there are never more of than slots", async () => {
    const made = threads(2);
    const runs = [new LoggedRun(), new LoggedRun(), new LoggedRun()] as const;
    const ends = runs.map((run) => thrownBy(made, "obey", {}, { run }));
    await runs[0].says("waits");
    await runs[1].says("waits");
    expect(made.size).toBe(2);
    expect(runs[2].lines).toEqual([]);
    runs[0].abort("cancelled");
    await runs[2].says("waits");
    expect(made.size).toBe(2);
    for (const run of runs) run.abort("cancelled");
    await Promise.all(ends);
  });

  it("tells every line in order, however fast, and the last progress", async () => {
    const run = new LoggedRun();
    await threads().perform(run, "talk", { lines: 20_000 }, PATIENT);
    expect(run.lines).toHaveLength(20_001);
    expect(run.lines.slice(0, -1).every(([level, message], i) => level === "debug" && message === `line ${i + 1}`)).toBe(true);
    expect(run.lines.at(-1)).toEqual(["error", "odd fields", expect.anything()]);
    expect(run.progressed).toBe(1);
  });
});

describe("what a handler in a thread throws", () => {
  it("comes back as the verdict it was", async () => {
    const made = threads();
    const discard = await thrownBy(made, "fail", { what: "discard" });
    expect(discard).toBeInstanceOf(Discard);
    expect(discard).toMatchObject({ name: "Discard", message: "no such customer", cause: { message: "404" } });
    const snooze = await thrownBy(made, "fail", { what: "snooze" });
    expect(snooze).toBeInstanceOf(Snooze);
    expect(snooze).toMatchObject({ seconds: 1.5 });
    const later = await thrownBy(made, "fail", { what: "retry_after" });
    expect(later).toBeInstanceOf(RetryAfter);
    expect(later).toMatchObject({ name: "RetryAfter", message: "busy", seconds: 30 });
  });

  it("keeps its class if it is the language's, name, message, stack, cause and what fields can be copied", async () => {
    const own = await thrownBy(threads(), "fail", { what: "own" });
    expect(own).toBeInstanceOf(TypeError);
    expect(own).toMatchObject({ name: "TypeError", message: "answered 503", status: 503 });
    expect((own as Error).stack).toContain("thread-jobs.ts");
    expect((own as Error).cause).toBeInstanceOf(RangeError);
    expect(own).not.toHaveProperty("retry");
  });

  it("may be anything at all", async () => {
    const made = threads();
    expect(await thrownBy(made, "fail", { what: "text" })).toBe("just a text");
    expect(await thrownBy(made, "fail", { what: "nothing" })).toBeUndefined();
    expect(await thrownBy(made, "fail", { what: "odd" })).toBe('{"code":7}');
    expect(await thrownBy(made, "fail", { what: "hostile" })).toBeDefined();
  });

  it("says so when the thread knows no such job, or can't import the module", async () => {
    expect(await thrownBy(threads(), "nobody")).toMatchObject({ message: 'the jobs module has no job "nobody" when a thread imports it' });
    const made = threads(1, { module: "/nowhere/jobs.ts" });
    expect(await thrownBy(made, "x")).toMatchObject({ code: "ERR_MODULE_NOT_FOUND" });
    expect(await thrownBy(made, "x")).toMatchObject({ code: "ERR_MODULE_NOT_FOUND" });
  });
});

describe("an aborted run in a thread", () => {
  it("is told the reason, and may end by itself", async () => {
    const made = threads();
    const run = new LoggedRun();
    const ending = thrownBy(made, "obey", {}, { run });
    await run.says("waits");
    run.abort("partition_stopped");
    const thrown = await ending;
    expect(thrown).toBeInstanceOf(RunAborted);
    expect(thrown).toMatchObject({ code: "partition_stopped" });
    const second = new LoggedRun();
    const returning = made.perform(second, "shrug", {}, PATIENT);
    await second.says("waits");
    second.abort("cancelled");
    await returning;
    expect(second.lines.at(-1)).toEqual(["info", "last words", undefined]);
    expect(made.size).toBe(1);
  });

  it("is killed when it does not settle in time, and only then counts as ended; the next one gets a new thread", async () => {
    const made = threads(1);
    const run = new LoggedRun();
    const ending = thrownBy(made, "spin", {}, { run, graceMs: 200 });
    await run.says("spins");
    const abortedAt = performance.now();
    run.abort("timed_out");
    expect(await ending).toMatchObject({ name: "ThreadKilled", message: expect.stringMatching(/0\.2 s after its abort \(timed out\)/) });
    expect(performance.now() - abortedAt).toBeGreaterThanOrEqual(199);
    expect(made.size).toBe(0);
    const next = new LoggedRun();
    await made.perform(next, "thread", {}, PATIENT);
    expect(next.lines).toHaveLength(1);
  });

  it("leaves no handle when it is killed", async () => {
    const made = threads(1);
    const kill = async (): Promise<void> => {
      const run = new LoggedRun();
      const ending = thrownBy(made, "spin", {}, { run, graceMs: 0 });
      await run.says("spins");
      run.abort("timed_out");
      await ending;
    };
    const handles = (): number => process.getActiveResourcesInfo().filter((kind) => ["MessagePort", "Worker", "Timeout"].includes(kind)).length;
    await kill();
    const before = handles();
    for (let i = 0; i < 3; i++) await kill();
    // n.b. vi.waitFor has timers of its own, which would be counted.
    while (handles() > before) await new Promise((resolve) => setImmediate(resolve));
  });

  it("never begins when it was aborted before", async () => {
    const made = threads(1);
    const first = new LoggedRun();
    const holding = thrownBy(made, "obey", {}, { run: first });
    await first.says("waits");
    const second = new LoggedRun();
    const waiting = thrownBy(made, "thread", {}, { run: second });
    second.abort("shutdown");
    first.abort("shutdown");
    await holding;
    expect(await waiting).toMatchObject({ code: "shutdown" });
    const third = new LoggedRun();
    third.abort("cancelled");
    expect(await thrownBy(made, "thread", {}, { run: third })).toMatchObject({ code: "cancelled" });
    expect([...second.lines, ...third.lines]).toEqual([]);
  });

  it("whose thread has only just been made does not begin, and leaves nothing behind", async () => {
    const made = threads(1);
    const run = new LoggedRun();
    const ending = thrownBy(made, "thread", {}, { run });
    run.abort("cancelled");
    expect(await ending).toMatchObject({ name: "RunAborted", code: "cancelled" });
    const killed = new LoggedRun();
    const fresh = threads(1);
    const dying = thrownBy(fresh, "thread", {}, { run: killed, graceMs: 0 });
    killed.abort("cancelled");
    // With no grace at all, either may come first: the thread's refusal to begin, or its end.
    expect(await dying).toMatchObject({ name: expect.stringMatching(/^(ThreadKilled|RunAborted)$/) });
    expect([...run.lines, ...killed.lines]).toEqual([]);
  });
});

describe("a thread that ends by itself", () => {
  it.each([
    ["exit", "its thread ended before it had settled: worker exited with code: 3"],
    ["hoard", "its thread ended before it had settled: Worker terminated due to reaching memory limit: JS heap out of memory"],
    ["explode", "its thread ended before it had settled: out of the blue"],
  ])("is a failed attempt with a clear error: %s", async (name, message) => {
    const made = threads(1, { resourceLimits: { maxOldGenerationSizeMb: 40 } });
    expect(await thrownBy(made, name)).toMatchObject({ name: "ThreadDied", message });
    const next = new LoggedRun();
    await made.perform(next, "thread", {}, PATIENT);
    expect(next.lines).toHaveLength(1);
  });

  it("is not what a promise left behind makes of it: it is told, and the thread lives on", async () => {
    const events: WorkerEvent[] = [];
    const made = threads(1, { emit: (event) => void events.push(event) });
    const run = new LoggedRun();
    await made.perform(run, "leave", { late: false }, PATIENT);
    expect(run.lines.map(([level, message]) => [level, message])).toEqual([
      ["warn", "running a promise that nobody awaited"],
      ["info", "done"],
    ]);
    await made.perform(run, "leave", { late: true }, PATIENT);
    await vi.waitFor(() => expect(events).toMatchObject([{ type: "trouble", error: { message: "left behind" } }]), 10_000);
    expect(made.size).toBe(1);
  });
});

describe("stopping job threads", () => {
  it("ends all of them, busy or not, and may be done before any was made, and twice", async () => {
    const made = threads();
    await made.start();
    await made.stop();
    const runs = [new LoggedRun(), new LoggedRun()];
    await made.perform(new LoggedRun(), "thread", {}, PATIENT);
    const ends = runs.map((run) => thrownBy(made, "spin", {}, { run }));
    for (const run of runs) await run.says("spins");
    await Promise.all([made.stop(), made.stop()]);
    expect(made.size).toBe(0);
    for (const end of await Promise.all(ends)) expect(end).toMatchObject({ name: "ThreadKilled" });
  });
});
