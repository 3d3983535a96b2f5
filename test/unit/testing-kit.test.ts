import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { Client } from "../../client/client.ts";
import { InvalidInput } from "../../core/contract/errors.ts";
import { LIMITS } from "../../core/contract/limits.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { UnknownPartition, UnknownQueue } from "../../core/job/destination.ts";
import { DuplicateJob } from "../../core/job/duplicate-job.ts";
import { defineHooks } from "../../core/job/hooks.ts";
import { Discard, Snooze } from "../../core/job/verdicts.ts";
import { type TestRoger, testRoger } from "../../testing/test-roger.ts";

const partition = "acme";

/** A job that does what its args say, and notes when. */
function diary(roger: () => TestRoger) {
  const notes: string[] = [];
  const job = defineJob({
    name: "note",
    args: z.object({ text: z.string(), fails: z.number().default(0) }),
    queue: "mail",
    retry: { levels: [1, 5, 30] },
    async perform({ text, fails }, ctx) {
      notes.push(`${text} ${ctx.attempt} at ${roger().clock.monotonic() / 1000}`);
      if (ctx.attempt <= fails) throw new Error(`failure ${ctx.attempt}`);
    },
  });
  return { job, notes };
}

describe("in manual mode", () => {
  const setUp = () => {
    const { job, notes } = diary(() => roger);
    const roger = testRoger({ jobs: [job] });
    return { roger, job, notes };
  };

  it("a job waits in its queue until it is drained", async () => {
    const { roger, job, notes } = setUp();
    const { jobId } = await roger.enqueue(job, { text: "a" }, { partition });
    expect(roger.queued()).toEqual([
      { id: jobId, name: "note", partition, queue: "mail", attempt: 1, args: { text: "a" }, enqueuedAt: roger.clock.now() },
    ]);
    expect(notes).toEqual([]);
    expect(await roger.drain()).toMatchObject({ done: 1, retried: 0, buried: 0 });
    expect(notes).toEqual(["a 1 at 0"]);
    expect([roger.queued(), roger.parked(), roger.buried()]).toEqual([[], [], []]);
    expect(await roger.drain()).toMatchObject({ done: 0 });
  });

  it("jobs of one queue run in the order in which they were enqueued", async () => {
    const { roger, job, notes } = setUp();
    for (const text of ["a", "b", "c"]) await roger.enqueue(job, { text }, { partition });
    expect(await roger.drain()).toMatchObject({ done: 3 });
    expect(notes).toEqual(["a 1 at 0", "b 1 at 0", "c 1 at 0"]);
  });

  it("retries come due as the time moves, each at its own", async () => {
    const { roger, job, notes } = setUp();
    await roger.enqueue(job, { text: "a", fails: 2 }, { partition });
    expect(await roger.drain()).toMatchObject({ done: 0, retried: 1 });
    expect(roger.parked()).toMatchObject([{ reason: "retry", attempt: 2, due: roger.clock.now() + 1_000 }]);
    expect(await roger.advance(999)).toMatchObject({ done: 0, retried: 0 });
    expect(await roger.advance(60_000)).toMatchObject({ done: 1, retried: 1 });
    expect(notes).toEqual(["a 1 at 0", "a 2 at 1", "a 3 at 6"]);
    expect(roger.clock.monotonic()).toBe(60_999);
  });

  it("a job without attempts left is buried, and a person can let it run again", async () => {
    const { roger, job, notes } = setUp();
    const { jobId } = await roger.enqueue(job, { text: "a", fails: 4 }, { partition });
    expect(await roger.advance(60_000)).toMatchObject({ done: 0, retried: 3, buried: 1 });
    expect(roger.buried()).toMatchObject([{ id: jobId, reason: "failed", attempt: 4, error: { message: "failure 4" } }]);
    expect(roger.buried()[0]?.history).toHaveLength(4);
    await roger.retryBuried(partition, jobId);
    expect(roger.buried()).toEqual([]);
    await roger.drain();
    expect(notes.at(-1)).toBe("a 1 at 60");
    await expect(roger.retryBuried(partition, jobId)).rejects.toThrow("is buried");
  });

  it("a delayed job waits for its time, and years pass at once", async () => {
    const { roger, job, notes } = setUp();
    await roger.enqueue(job, { text: "a" }, { partition, delay: 365 * 24 * 3600 });
    expect(await roger.drain()).toMatchObject({ done: 0 });
    expect(roger.parked()).toMatchObject([{ reason: "delayed" }]);
    expect(await roger.advance(366 * 24 * 3600 * 1000)).toMatchObject({ done: 1 });
    expect(notes).toEqual([`a 1 at ${365 * 24 * 3600}`]);
  });

  it("bad args are refused as a client refuses them", async () => {
    const { roger, job } = setUp();
    await expect(roger.enqueue(job, { text: 5 as unknown as string }, { partition })).rejects.toBeInstanceOf(InvalidInput);
    await expect(roger.enqueue(job, undefined as never, { partition })).rejects.toBeInstanceOf(InvalidInput);
    await expect(roger.enqueue(job, { text: "a" }, { partition: "a/b" })).rejects.toMatchObject({ field: "partition" });
    expect(roger.enqueued).toEqual([]);
  });

  it("a cancelled job never runs, wherever it waits", async () => {
    const { roger, job, notes } = setUp();
    const queued = await roger.enqueue(job, { text: "queued" }, { partition });
    const delayed = await roger.enqueue(job, { text: "delayed" }, { partition, delay: 60 });
    const own = await roger.enqueue(job, { text: "own id" }, { partition, id: "mine" });
    expect(await roger.cancel(partition, queued.jobId)).toBe("cancelling");
    expect(await roger.cancel(partition, delayed.jobId)).toBe("cancelled");
    expect(await roger.cancel(partition, own.jobId)).toBe("cancelling");
    expect(await roger.advance(60_000)).toMatchObject({ done: 0, cancelled: 3 });
    expect(notes).toEqual([]);
  });

  it("time goes forward only, by whole milliseconds", async () => {
    const { roger } = setUp();
    for (const ms of [-1, 0.5, Number.NaN]) await expect(roger.advance(ms)).rejects.toBeInstanceOf(RangeError);
  });
});

describe("verdicts", () => {
  it("are counted by what became of the job", async () => {
    const seen: number[] = [];
    const job = defineJob({
      name: "verdict",
      args: z.enum(["discard", "snooze"]),
      async perform(verdict, ctx) {
        seen.push(ctx.attempt);
        if (verdict === "discard") throw new Discard("no such customer");
        if (seen.length === 1) throw new Snooze(30);
      },
    });
    const roger = testRoger({ jobs: [job] });
    await roger.enqueue(job, "snooze", { partition });
    expect(await roger.drain()).toMatchObject({ snoozed: 1, done: 0 });
    expect(await roger.advance(30_000)).toMatchObject({ done: 1 });
    expect(seen).toEqual([1, 1]);
    await roger.enqueue(job, "discard", { partition });
    expect(await roger.drain()).toMatchObject({ buried: 1 });
    expect(roger.buried()).toMatchObject([{ reason: "discarded", error: { message: "no such customer" } }]);
  });

  it("a job that snoozes for ever is an error, not a test without an end", async () => {
    const job = defineJob({
      name: "never",
      args: z.null(),
      perform() {
        throw new Snooze(0);
      },
    });
    const roger = testRoger({ jobs: [job] });
    await roger.enqueue(job, null, { partition });
    await expect(roger.drain()).rejects.toThrow("10000 jobs have run");
  });

  it("a name that the worker does not know waits for one that does, and is buried after a week", async () => {
    const job = defineJob({ name: "unknown", args: z.null(), perform: () => undefined });
    const roger = testRoger({ jobs: [] });
    await roger.enqueue(job, null, { partition });
    expect(await roger.drain()).toMatchObject({ unknownName: 1 });
    expect(await roger.advance(LIMITS.unknownNameMs + 600_000)).toMatchObject({ buried: 1 });
    expect(roger.buried()).toMatchObject([{ reason: "unknown_job" }]);
  });
});

describe("in inline mode", () => {
  it("a job runs as it is enqueued, and all that it enqueues", async () => {
    const ran: number[] = [];
    const countdown = defineJob({
      name: "countdown",
      args: z.number(),
      async perform(n) {
        ran.push(n);
        if (n > 0) await roger.enqueue(countdown, n - 1, { partition });
      },
    });
    const roger = testRoger({ jobs: [countdown], mode: "inline" });
    await roger.enqueue(countdown, 3, { partition });
    expect(ran).toEqual([3, 2, 1, 0]);
    expect(roger.enqueued.map(({ args }) => args)).toEqual([3, 2, 1, 0]);
  });

  it("jobs that are enqueued side by side have all run when all are enqueued", async () => {
    const ran: number[] = [];
    const job = defineJob({ name: "job", args: z.number(), perform: (n) => void ran.push(n) });
    const roger = testRoger({ jobs: [job], mode: "inline" });
    const enqueueAfter = async (turns: number): Promise<void> => {
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await roger.enqueue(job, turns, { partition });
    };
    // The second comes at every moment of the first one's drain, its last among them.
    for (let turns = 0; turns < 60; turns++) {
      await Promise.all([enqueueAfter(0), enqueueAfter(turns)]);
      expect([turns, roger.queued()]).toEqual([turns, []]);
    }
    expect(ran).toHaveLength(120);
  });

  it("a failure is recorded, not thrown at who enqueues", async () => {
    const fail = defineJob({
      name: "fail",
      args: z.null(),
      perform() {
        throw new Error("broken");
      },
    });
    const roger = testRoger({ jobs: [fail], mode: "inline" });
    await roger.enqueue(fail, null, { partition });
    expect(roger.buried()).toMatchObject([{ name: "fail", error: { message: "broken" } }]);
  });
});

describe("the client", () => {
  const mail = defineJob({ name: "mail", args: z.object({ to: z.string() }), queue: "mail", perform: () => undefined });

  /** What an application does with a client. */
  const welcomeAll = (client: Client, names: readonly string[]) =>
    client.enqueueMany(
      mail,
      names.map((to) => ({ args: { to } })),
      { partition },
    );

  it("is the real one, for the code under test", async () => {
    const roger = testRoger({ jobs: [mail] });
    expect(await welcomeAll(roger.client, ["ada", "bob"])).toEqual({ enqueued: 2, refused: 0 });
    roger.assertEnqueued(mail, { args: { to: "bob" } });
    expect(roger.queued()).toHaveLength(2);
    const { jobId } = await roger.client.enqueue(mail, { to: "eve" }, { partition, delay: 5 });
    expect(await roger.client.get(partition, jobId)).toMatchObject({ state: "parked" });
    expect(await roger.client.cancel(partition, jobId)).toBe("cancelled");
    expect(await roger.drain()).toMatchObject({ done: 2, cancelled: 1 });
  });

  it("runs what it enqueues in inline mode", async () => {
    const roger = testRoger({ jobs: [mail], mode: "inline" });
    await welcomeAll(roger.client, ["ada", "bob"]);
    expect([roger.queued(), roger.enqueued.length]).toEqual([[], 2]);
  });

  it("says where a job would be refused, when the test says which partitions there are", async () => {
    const roger = testRoger({ jobs: [mail], partitions: { acme: ["mail"], globex: ["default"] } });
    expect(await roger.enqueue(mail, { to: "ada" }, { partition })).toMatchObject({ state: "queued" });
    await expect(roger.enqueue(mail, { to: "ada" }, { partition: "globex" })).rejects.toBeInstanceOf(UnknownQueue);
    await expect(roger.enqueue(mail, { to: "ada" }, { partition: "initech", delay: 1 })).rejects.toBeInstanceOf(UnknownPartition);
    await expect(roger.cancel("initech", "job-1")).rejects.toBeInstanceOf(UnknownPartition);
    expect(roger.enqueued).toHaveLength(1);
  });

  it("makes items for a transaction; what becomes of them is the table's", async () => {
    const roger = testRoger({ jobs: [mail] });
    await roger.client.toTransactItem(mail, { to: "ada" }, { partition });
    expect([roger.enqueued, roger.queued(), roger.parked()]).toEqual([[], [], []]);
  });
});

describe("keys", () => {
  const invoice = z.object({ invoice: z.string(), customer: z.string() });

  it("a queue key refuses a second job until the first has ended", async () => {
    const job = defineJob({ name: "bill", args: invoice, queueKey: ({ invoice }) => invoice, perform: () => undefined });
    const roger = testRoger({ jobs: [job] });
    const first = await roger.enqueue(job, { invoice: "1", customer: "c" }, { partition });
    await expect(roger.enqueue(job, { invoice: "1", customer: "d" }, { partition })).rejects.toMatchObject({ existingJobId: first.jobId });
    await roger.enqueue(job, { invoice: "2", customer: "c" }, { partition });
    await roger.enqueue(job, { invoice: "1", customer: "c" }, { partition: "globex" });
    expect(await roger.drain()).toMatchObject({ done: 3 });
    await roger.enqueue(job, { invoice: "1", customer: "c" }, { partition });
    expect(await roger.drain()).toMatchObject({ done: 1 });
  });

  it("an id of one's own is accepted once, until an hour after the job's end", async () => {
    const job = defineJob({ name: "once", args: z.null(), perform: () => undefined });
    const roger = testRoger({ jobs: [job], mode: "inline" });
    await roger.enqueue(job, null, { partition, id: "mine" });
    await expect(roger.enqueue(job, null, { partition, id: "mine" })).rejects.toBeInstanceOf(DuplicateJob);
    await roger.advance(3600 * 1000);
    await roger.enqueue(job, null, { partition, id: "mine" });
  });

  it("an execution key lets one run at a time, oldest first, with rising tokens", async () => {
    let running = 0;
    const runs: { invoice: string; token: number | undefined }[] = [];
    const job = defineJob({
      name: "bill",
      args: invoice,
      executionKey: ({ customer }) => customer,
      async perform({ invoice }, ctx) {
        expect(++running).toBe(1);
        runs.push({ invoice, token: ctx.token });
        await Promise.resolve();
        running -= 1;
      },
    });
    const roger = testRoger({ jobs: [job], slots: 3 });
    for (const invoice of ["1", "2", "3"]) {
      await roger.enqueue(job, { invoice, customer: "c" }, { partition });
      roger.clock.advance(1); // their order is that of their times
    }
    expect(await roger.drain()).toMatchObject({ done: 3, waiting: 2 });
    expect(runs.map(({ invoice }) => invoice)).toEqual(["1", "2", "3"]);
    const tokens = runs.map(({ token }) => token ?? 0);
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    expect(new Set(tokens).size).toBe(3);
  });
});

describe("a running job", () => {
  it("hears that it was cancelled, by its signal", async () => {
    const job = defineJob({
      name: "patient",
      args: z.null(),
      async perform(_, ctx) {
        expect(await roger.cancel(ctx.job.partition, ctx.job.id)).toBe("cancelling");
        if (!ctx.signal.aborted) await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve, { once: true }));
        throw ctx.signal.reason;
      },
    });
    const roger = testRoger({ jobs: [job] });
    await roger.enqueue(job, null, { partition });
    expect(await roger.drain()).toMatchObject({ cancelled: 1 });
  });

  it("may not drain, and says so", async () => {
    const job = defineJob({ name: "greedy", args: z.null(), perform: () => roger.drain() });
    const roger = testRoger({ jobs: [job] });
    await roger.enqueue(job, null, { partition });
    expect(await roger.drain()).toMatchObject({ buried: 1 });
    expect(roger.buried()[0]?.error.message).toContain("a drain is under way");
  });

  it("of the thread kind runs in the test's own thread", async () => {
    const seen: string[] = [];
    const args = z.string().transform((text) => text.toUpperCase());
    const job = defineJob({ name: "apart", args, isolation: "thread", perform: (text) => void seen.push(text) });
    const roger = testRoger({ jobs: [job], mode: "inline" });
    await roger.enqueue(job, "here", { partition });
    expect(seen).toEqual(["HERE"]);
  });
});

describe("hooks", () => {
  it("are called as in a worker, and their failures are told", async () => {
    const told: string[] = [];
    const hooks = defineHooks({
      beforeRun: ({ attempt }) => attempt,
      afterRun: ({ name }, state) => told.push(`${name} done, ${state}`),
      onError: ({ name }, { error }, state) => told.push(`${name} failed, ${error.message}, ${state}`),
      onBuried: () => {
        throw new Error("a bad hook");
      },
    });
    const job = defineJob({
      name: "job",
      args: z.boolean(),
      perform(good) {
        if (!good) throw new Error("broken");
      },
    });
    const roger = testRoger({ jobs: [job], hooks: [hooks], mode: "inline" });
    await roger.enqueue(job, true, { partition });
    await roger.enqueue(job, false, { partition });
    expect(told).toEqual(["job done, 1", "job failed, broken, 1"]);
    expect(roger.events).toContainEqual(expect.objectContaining({ type: "trouble", error: new Error("a bad hook") }));
  });
});
