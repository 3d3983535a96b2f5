import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import type { Delivery } from "../../core/job/broker.ts";
import type { JobContext } from "../../core/job/context.ts";
import { defineJob, type JobDefinition } from "../../core/job/define-job.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import { perform, type Threads } from "../../worker/perform.ts";
import { Run } from "../../worker/run.ts";

const envelope: Envelope = { v: 1, id: "job-1", name: "x", args: { n: "7" }, partition: "acme", queue: "default", attempt: 1, enqueued_at: 1 };
const GRACE = 5_000;

const threadCalls: unknown[][] = [];
let threadEnds: PromiseWithResolvers<void>;
const threads: Threads = {
  perform: (...call) => {
    threadCalls.push(call);
    return threadEnds.promise;
  },
};
const options = { threads, graceMs: GRACE };

beforeEach(() => {
  threadCalls.length = 0;
  threadEnds = Promise.withResolvers();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => {
    // Whatever happened, no timer outlives its run.
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
});

function newRun(): Run {
  const run = new Run({ delivery: {} as Delivery, receivedAt: 0, startedAt: 0, makeLog: () => expect.fail("no log was asked for") });
  run.decoded(envelope);
  return run;
}

const args = z.object({ n: z.string().transform(Number) });

function job(
  work: (n: number, ctx: JobContext) => unknown,
  more: { maxExecutionTime?: number; isolation?: "inline" | "thread" } = {},
): JobDefinition {
  return defineJob({ name: "x", args, perform: ({ n }, ctx) => work(n, ctx), ...more }) as unknown as JobDefinition;
}

const untilAborted = (_: number, { signal }: JobContext) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));

describe("performing a job inline", () => {
  it("gives the parsed args, and takes whatever is thrown for its result", async () => {
    const seen: unknown[] = [];
    expect(
      await perform(
        options,
        job((n) => seen.push(n)),
        envelope,
        newRun(),
      ),
    ).toEqual({ ok: true });
    expect(seen).toEqual([7]);
    const error = new Error("no");
    const thrower = job(() => {
      throw error;
    });
    expect(await perform(options, thrower, envelope, newRun())).toEqual({ ok: false, error });
    const nothing = job(() => Promise.reject(undefined));
    expect(await perform(options, nothing, envelope, newRun())).toEqual({ ok: false, error: undefined });
  });

  it("runs nothing when the args are wrong, their schema throws, or the run was aborted", async () => {
    const never = job(() => expect.fail("it ran"));
    expect(await perform(options, never, { ...envelope, args: { n: 7 } }, newRun())).toMatchObject({
      invalidArgs: expect.stringMatching(/^args\.n: /),
    });
    const schema = { "~standard": { version: 1, vendor: "test", validate: () => Promise.reject(new Error("no schema")) } } as const;
    const broken = defineJob({ name: "x", args: schema, perform: () => expect.fail("it ran") });
    expect(await perform(options, broken as JobDefinition, envelope, newRun())).toMatchObject({ ok: false, error: { message: "no schema" } });
    const run = newRun();
    run.abort("cancelled");
    expect(await perform(options, never, envelope, run)).toMatchObject({ ok: false, error: { code: "cancelled" } });
  });

  it("has no timer without a limit", async () => {
    const run = newRun();
    const performing = perform(options, job(untilAborted), envelope, run);
    expect(vi.getTimerCount()).toBe(0);
    run.abort("shutdown");
    expect(await performing).toMatchObject({ ok: false, error: { name: "RunAborted", code: "shutdown" } });
  });
});

describe("a job that runs longer than its maxExecutionTime", () => {
  it("is aborted then, and ends when it has settled", async () => {
    const run = newRun();
    const performing = perform(options, job(untilAborted, { maxExecutionTime: 30 }), envelope, run);
    await vi.advanceTimersByTimeAsync(29_999);
    expect(run.aborted).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(run.aborted).toBe("timed_out");
    expect(await performing).toMatchObject({ ok: false, error: { code: "timed_out" } });
  });

  it("inline, may ignore that, and goes on", async () => {
    const run = newRun();
    const settled = Promise.withResolvers<void>();
    const performing = perform(
      options,
      job(() => settled.promise, { maxExecutionTime: 30 }),
      envelope,
      run,
    );
    await vi.advanceTimersByTimeAsync(600_000);
    expect(await Promise.race([performing, "it still runs"])).toBe("it still runs");
    settled.resolve();
    expect(await performing).toEqual({ ok: true });
  });

  it("that was aborted for another reason before is not aborted again", async () => {
    const run = newRun();
    const settled = Promise.withResolvers<void>();
    const performing = perform(
      options,
      job(() => settled.promise, { maxExecutionTime: 30 }),
      envelope,
      run,
    );
    run.abort("cancelled");
    await vi.advanceTimersByTimeAsync(60_000);
    expect(run.aborted).toBe("cancelled");
    settled.resolve();
    await performing;
  });

  it("that is done in time is left alone", async () => {
    const run = newRun();
    expect(
      await perform(
        options,
        job(() => undefined, { maxExecutionTime: 30 }),
        envelope,
        run,
      ),
    ).toEqual({ ok: true });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(run.aborted).toBeUndefined();
  });
});

describe("performing a job in a thread", () => {
  const begin = (): void => (threadCalls.at(-1) as Parameters<Threads["perform"]>)[4]();
  const inThread = job(() => expect.fail("it ran in this thread"), { isolation: "thread", maxExecutionTime: 30 });

  it("hands over the args as they were enqueued, and ends as the thread ends", async () => {
    const run = newRun();
    const performing = perform(options, inThread, envelope, run);
    expect(threadCalls).toEqual([[run, "x", { n: "7" }, GRACE, expect.any(Function)]]);
    const error = new Error("from the thread");
    threadEnds.reject(error);
    expect(await performing).toEqual({ ok: false, error });
    expect(await perform(options, inThread, { ...envelope, args: {} }, newRun())).toHaveProperty("invalidArgs");
    expect(threadCalls).toHaveLength(1);
  });

  it("counts its limit from the begin of its handler; a thread that does not come up has a minute more", async () => {
    const run = newRun();
    const performing = perform(options, inThread, envelope, run);
    await vi.advanceTimersByTimeAsync(50_000);
    begin();
    await vi.advanceTimersByTimeAsync(29_999);
    expect(run.aborted).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(run.aborted).toBe("timed_out");
    threadEnds.resolve();
    await performing;
    threadEnds = Promise.withResolvers();
    const never = newRun();
    const waiting = perform(options, inThread, envelope, never);
    await vi.advanceTimersByTimeAsync(89_999);
    expect(never.aborted).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1);
    expect(never.aborted).toBe("timed_out");
    threadEnds.resolve();
    await waiting;
  });
});
