import fc from "fast-check";
import { validate, version } from "uuid";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { LIMITS } from "../../core/contract/limits.ts";
import { brokerQueue, splitBrokerQueue } from "../../core/contract/names.ts";
import { checkArgs, defineJob } from "../../core/job/define-job.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope, InvalidEnvelope, NewerEnvelope } from "../../core/job/envelope.ts";
import { newJobId } from "../../core/job/id.ts";
import { decideOutcome, nextAttempt, type RunEnd } from "../../core/job/outcome.ts";
import { registryOf } from "../../core/job/registry.ts";
import { ROGER_LEVELS, retryPolicy } from "../../core/job/retry.ts";
import { Discard, RetryAfter, Snooze } from "../../core/job/verdicts.ts";

const envelope: Envelope = { v: 1, id: "0199-a", name: "mail", args: { to: "x" }, partition: "acme", queue: "default", attempt: 1, enqueued_at: 1 };
const ended = (error: unknown, change: Partial<RunEnd> = {}): RunEnd => ({
  envelope,
  startedAt: 10,
  endedAt: 20,
  task: "t1",
  aborted: undefined,
  result: { ok: false, error },
  ...change,
});

describe("names", () => {
  it("never lets two partitions meet in one RabbitMQ queue", () => {
    const partition = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,12}$/);
    const queue = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
    fc.assert(
      fc.property(partition, queue, (p, q) => {
        expect(splitBrokerQueue(brokerQueue(p, q))).toEqual({ partition: p, queue: q });
      }),
    );
  });
});

describe("envelope", () => {
  it("comes back as it went, with fields of a newer build", () => {
    const newer = { ...envelope, priority: 3 } as Envelope;
    expect(decodeEnvelope(encodeEnvelope(newer))).toEqual(newer);
    expect(nextAttempt(newer, { attempt: 1, started_at: 1, failed_at: 2, task: "t", error: { name: "E", message: "m" } })).toMatchObject({
      priority: 3,
      attempt: 2,
    });
  });

  it.each([
    ["no JSON", "{", "envelope"],
    ["a list", "[]", "envelope"],
    ["another version", JSON.stringify({ ...envelope, v: 2 }), "envelope.v"],
    ["no args", JSON.stringify({ ...envelope, args: undefined }), "envelope.args"],
    ["a bad name", JSON.stringify({ ...envelope, name: "" }), "envelope.name"],
    ["a bad partition", JSON.stringify({ ...envelope, partition: "../x" }), "envelope.partition"],
    ["attempt 0", JSON.stringify({ ...envelope, attempt: 0 }), "envelope.attempt"],
    ["a time that is none", JSON.stringify({ ...envelope, waiting_since: "yesterday" }), "envelope.waiting_since"],
    ["a time of which no due can be told", JSON.stringify({ ...envelope, unknown_since: {} }), "envelope.unknown_since"],
  ])("refuses %s, naming the field", (_, body, field) => {
    expect(() => decodeEnvelope(body)).toThrow(InvalidEnvelope);
    expect(() => decodeEnvelope(body)).toThrow(new RegExp(`^${field}:`));
  });

  it("of a newer build is kept for it, if it says since when, or nothing of that", () => {
    const since = (unknown_since: unknown) => () => decodeEnvelope(JSON.stringify({ ...envelope, v: 2, unknown_since }));
    expect(since(17)).toThrow(NewerEnvelope);
    expect(since(undefined)).toThrow(NewerEnvelope);
    // Of no time no due can be told: it would come back for ever.
    expect(since("yesterday")).not.toThrow(NewerEnvelope);
    expect(since("yesterday")).toThrow(InvalidEnvelope);
  });

  it.each(["id", "partition", "queue"])("of a newer build that no item could keep is none: an empty %s", (field) => {
    const decode = () => decodeEnvelope(JSON.stringify({ ...envelope, v: 2, [field]: "" }));
    expect(decode).not.toThrow(NewerEnvelope);
    expect(decode).toThrow(InvalidEnvelope);
  });

  it("refuses what no queue and no item could hold", () => {
    expect(() => encodeEnvelope({ ...envelope, args: "x".repeat(LIMITS.envelopeBytes) })).toThrow(/^args: the job is \d+ bytes/);
  });
});

describe("defineJob", () => {
  const args = z.object({ to: z.string() });

  const perform = () => undefined;

  it("refuses unknown options as a type error, too", () => {
    // @ts-expect-error there is no such option
    expect(() => defineJob({ name: "a", args, perform, retries: 3 })).toThrow(/unknown option "retries"; there are name, args,/);
  });

  // What plain JavaScript can write, or a cast.
  it.each([
    [{ name: undefined }, "a job's name: is missing"],
    [{ name: "a b" }, `a job's name: "a b" does not fit: letters,`],
    [{ args: undefined }, "job a: args must be a Standard Schema"],
    [{ perform: undefined }, "job a: perform must be a function"],
    [{ queue: "A-b" }, 'job a: queue: "A-b" does not fit: lower-case letters'],
    [{ queue: 5 }, "job a: queue: must be a text"],
    [{ queueKey: "k" }, "job a: queueKey must be a function"],
    [{ executionKey: "k" }, "job a: executionKey must be a function"],
    [{ redact: "all" }, "job a: redact must be true, false or a function"],
    [{ maxExecutionTime: "30" }, "job a: maxExecutionTime is a number of seconds"],
    [{ isolation: "process" }, 'job a: isolation is "inline" or "thread"'],
    [{ retry: "yes" }, "job a: retry: true, false, { levels, jitter? } or { max, delay }"],
    [{ retry: {} }, "job a: retry: true, false, { levels"],
    [{ retry: { levels: [-1] } }, "job a: retry.levels: a list of seconds from 0"],
    [{ retry: { levels: ["1"] } }, 'job a: retry.levels: a list of seconds from 0, such as [1, 5, 30], not ["1"]'],
    [{ retry: { levels: [1], jitter: "0.1" } }, "job a: retry.jitter: a number from 0 to 1"],
    [{ retry: { levels: [1], max: 3 } }, "job a: retry.max: there is no such option here"],
    [{ retry: { max: 3 } }, "job a: retry.delay: a function"],
  ])("refuses %j when the module is loaded, naming job and option", (wrong, message) => {
    expect(() => defineJob({ name: "a", args, perform, ...wrong } as never)).toThrow(message);
  });

  it("refuses no options at all", () => {
    expect(() => defineJob(undefined as never)).toThrow("defineJob: give it an object of options");
  });

  it("names what is wrong with args", async () => {
    const definition = defineJob({ name: "a", args, perform });
    expect(await checkArgs(definition, { to: 3 })).toMatchObject({ ok: false, problem: expect.stringMatching(/^args\.to: /) });
    expect(await checkArgs(definition, { to: "x" })).toEqual({ ok: true, value: { to: "x" } });
  });

  it("is found by a registry, once", () => {
    const one = defineJob({ name: "a", args, perform });
    const other = defineJob({ name: "a", args, perform });
    expect([...registryOf({ one, again: one, version: "1" }).keys()]).toEqual(["a"]);
    expect(() => registryOf({ one, other })).toThrow('export other: two jobs are called "a"; the other one is one');
  });

  it("is not taken for one when it was not made by defineJob", () => {
    expect(() => registryOf({ mail: { name: "mail", args, perform } })).toThrow("export mail: looks like a job, but was not made with defineJob");
  });
});

describe("verdicts", () => {
  it("of another copy of the package are known, and those of an application's own classes", async () => {
    const copy: typeof import("../../core/job/verdicts.ts") = await import(`${"../../core/job/verdicts.ts"}?copy`);
    expect(copy.Discard).not.toBe(Discard);
    const thrown = [new copy.Discard("no"), new copy.Snooze(1), new copy.RetryAfter(1), new Error("no")];
    const kinds = [Discard, Snooze, RetryAfter];
    expect(thrown.map((error) => kinds.map((Kind) => error instanceof Kind))).toEqual([
      [true, false, false],
      [false, true, false],
      [false, false, true],
      [false, false, false],
    ]);
    class Gone extends Discard {}
    expect([new Gone("x") instanceof Discard, new Gone("x") instanceof Gone, new Discard("x") instanceof Gone]).toEqual([true, true, false]);
  });

  it("are not looked for in what throws when it is looked at", () => {
    const refuse = (): never => {
      throw new Error("hands off");
    };
    const hostile = new Proxy({}, { has: refuse, get: refuse, getPrototypeOf: refuse });
    expect(decideOutcome(ended(hostile), retryPolicy(true))).toMatchObject({ kind: "retry", failure: { error: { name: "Error" } } });
    expect(decideOutcome(ended(hostile, { aborted: "timed_out" }), retryPolicy(true))).toMatchObject({
      kind: "retry",
      failure: { error: { name: "TimedOut" } },
    });
    const verdict = new Proxy(new Snooze(1), { get: refuse });
    expect(decideOutcome(ended(verdict), retryPolicy(false))).toEqual({ kind: "snooze", delayMs: 1_800_000 });
  });
});

describe("decideOutcome", () => {
  const never = retryPolicy(false);
  const roger = retryPolicy(true);

  it("a handler that returned is done, aborted or not", () => {
    expect(decideOutcome(ended(null, { result: { ok: true } }), never)).toEqual({ kind: "done" });
    expect(decideOutcome(ended(null, { result: { ok: true }, aborted: "shutdown" }), never)).toEqual({ kind: "done" });
  });

  it("waits Roger's levels, then buries", () => {
    const delays = ROGER_LEVELS.map((_, i) => {
      const outcome = decideOutcome(ended(new Error("x"), { envelope: { ...envelope, attempt: i + 1 } }), roger);
      return outcome.kind === "retry" ? outcome.delayMs / 1000 : undefined;
    });
    expect(delays).toEqual([...ROGER_LEVELS]);
    expect(decideOutcome(ended(new Error("x"), { envelope: { ...envelope, attempt: 13 } }), roger)).toMatchObject({ kind: "bury", reason: "failed" });
  });

  it("buries a failure that is not retried, with its error", () => {
    const outcome = decideOutcome(ended(new TypeError("boom")), never);
    expect(outcome).toMatchObject({
      kind: "bury",
      reason: "failed",
      failure: { attempt: 1, task: "t1", error: { name: "TypeError", message: "boom" } },
    });
  });

  it("obeys verdicts", () => {
    expect(decideOutcome(ended(new Discard("no such user")), roger)).toMatchObject({ kind: "bury", reason: "discarded" });
    expect(decideOutcome(ended(new Snooze(7)), never)).toEqual({ kind: "snooze", delayMs: 7_000 });
    expect(decideOutcome(ended(new RetryAfter(42)), roger)).toMatchObject({ kind: "retry", delayMs: 42_000 });
    // A time that no table can hold would be refused for ever.
    expect(decideOutcome(ended(new Snooze(Number.MAX_VALUE)), never)).toEqual({ kind: "snooze", delayMs: LIMITS.delayMs });
    expect(decideOutcome(ended(new RetryAfter(Number.MAX_VALUE)), roger)).toMatchObject({ kind: "retry", delayMs: LIMITS.delayMs });
    expect(decideOutcome(ended(new RetryAfter(42)), never)).toMatchObject({ kind: "bury", reason: "failed" });
  });

  it("waits for Roger's longest level where a verdict of another copy of the package says no number", () => {
    const ofAnotherCopy = Object.create(Snooze.prototype, { seconds: { value: Number.NaN } });
    expect(decideOutcome(ended(ofAnotherCopy), never)).toEqual({ kind: "snooze", delayMs: 1_800_000 });
  });

  it("says of a thread that was killed at its limit that it was, not that it settled", () => {
    const killed = Object.assign(new Error("its thread was killed"), { name: "ThreadKilled" });
    const said = (error: unknown): unknown => decideOutcome(ended(error, { aborted: "timed_out" }), never);
    expect(said(killed)).toMatchObject({ failure: { error: { message: expect.stringMatching(/Time; after \S+ s its thread was killed$/) } } });
    expect(said(new Error("x"))).toMatchObject({
      failure: { error: { message: expect.stringMatching(/Time; settled after \S+ s, then threw x$/) } },
    });
  });

  it("charges nothing to an aborted run", () => {
    expect(decideOutcome(ended(new Error("aborted"), { aborted: "shutdown" }), never)).toEqual({ kind: "hand_back" });
    expect(decideOutcome(ended(new Snooze(1), { aborted: "shutdown" }), never)).toEqual({ kind: "hand_back" });
    expect(decideOutcome(ended(new Discard("bad"), { aborted: "shutdown" }), never)).toMatchObject({ kind: "bury" });
  });

  it("survives a retry function that throws, answers nonsense, or an error that is no Error", () => {
    const thrower = retryPolicy({
      max: 3,
      delay: () => {
        throw new Error("in delay");
      },
    });
    expect(decideOutcome(ended("just text"), thrower)).toMatchObject({
      kind: "retry",
      delayMs: 1_800_000,
      failure: { error: { name: "NonError", message: "just text" } },
    });
    expect(decideOutcome(ended(new Error("x")), retryPolicy({ max: 3, delay: () => Number.NaN }))).toMatchObject({ delayMs: 1_800_000 });
    const circular: Record<string, unknown> = {};
    circular.self = circular;
    expect(decideOutcome(ended(circular), never)).toMatchObject({ failure: { error: { message: "[object Object]" } } });
  });

  it("keeps errors within their bounds and the latest twenty", () => {
    const outcome = decideOutcome(ended(new Error("é".repeat(5_000))), never);
    expect(outcome.kind === "bury" && Buffer.byteLength(outcome.failure.error.message)).toBeLessThanOrEqual(LIMITS.messageBytes);
    const binary = decideOutcome(ended(new Error("\u0000".repeat(5_000))), never);
    expect(binary.kind === "bury" && JSON.stringify(binary.failure.error.message).length).toBeLessThanOrEqual(LIMITS.messageBytes + 2);
    const failure = { attempt: 1, started_at: 1, failed_at: 1, task: "t", error: { name: "E", message: "m" } };
    let job = envelope;
    for (let i = 0; i < 30; i++) job = nextAttempt(job, failure);
    expect(job.history).toHaveLength(LIMITS.history);
  });

  it("jitters within its share", () => {
    const policy = retryPolicy({ levels: [100], jitter: 0.2 });
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (r) => {
        const ms = policy(1, new Error("x"), () => r) ?? 0;
        expect(ms).toBeGreaterThanOrEqual(80_000);
        expect(ms).toBeLessThanOrEqual(120_000);
      }),
    );
  });
});

describe("job ids", () => {
  it("are UUIDs version 7 of now, rise, and never repeat, over many draws of random bytes", () => {
    const before = Date.now();
    const ids = Array.from({ length: 10_000 }, newJobId);
    expect(ids).toEqual(ids.toSorted());
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => validate(id) && version(id) === 7)).toBe(true);
    const ms = Number.parseInt((ids[0] as string).replace("-", "").slice(0, 12), 16);
    expect(ms).toBeGreaterThanOrEqual(before);
    expect(ms).toBeLessThanOrEqual(Date.now());
    // What is random in them differs from id to id.
    expect(new Set(ids.map((id) => id.slice(-10))).size).toBe(ids.length);
  });
});
