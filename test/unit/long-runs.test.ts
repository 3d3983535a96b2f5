import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope } from "../../core/job/envelope.ts";
import { type ParkedReason, type ParkedStore, parkedJob } from "../../core/job/parked.ts";
import { runId } from "../../core/keys/runs.ts";
import type { PortCall } from "../../testing/calls.ts";
import { type VirtualClock, virtualClock } from "../../testing/clock.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { LongRuns } from "../../worker/long-runs.ts";
import { Run } from "../../worker/run.ts";

const timings = DEFAULT_TIMINGS;
const { long, longBeat, longLease } = timings;

/** A run whose handler runs, with a delivery that remembers what became of it. */
class Job {
  readonly envelope: Envelope;
  readonly run: Run;
  readonly settled: string[] = [];
  lost = false;

  constructor(id: string, receivedAt: number, attempt = 1) {
    this.envelope = { v: 1, id, name: "x", args: {}, partition: "acme", queue: "default", attempt, enqueued_at: 1 };
    const isLost = (): boolean => this.lost;
    const delivery = {
      brokerQueue: "acme-default",
      body: Buffer.from(encodeEnvelope(this.envelope)),
      messageId: id,
      redelivered: false,
      deliveryCount: 0,
      deadFrom: undefined,
      get lost() {
        return isLost();
      },
      ack: () => void this.settled.push("ack"),
      nack: () => void this.settled.push("nack"),
    };
    this.run = new Run({ delivery, receivedAt, startedAt: 0, makeLog: () => expect.fail("no log was asked for") });
    this.run.decoded(this.envelope);
    this.run.performing = true;
  }
}

/** What the store is to do at each call: throw before it (never arrived) or after it (its answer is lost), or wait. */
let onCall: { before?: (call: PortCall) => Promise<void> | undefined; after?: (call: PortCall) => Promise<void> | undefined };
let clock: VirtualClock;
let parked: ParkedStore;
let running: Run[];
let events: WorkerEvent[];
let calls: string[];
const handedBack: number[] = [];
let longRuns: LongRuns;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onCall = {};
  clock = virtualClock();
  calls = [];
  running = [];
  events = [];
  handedBack.length = 0;
  const before = (call: PortCall): Promise<void> | undefined => {
    calls.push(call.method);
    return onCall.before?.(call);
  };
  ({ parked } = memoryStore({ clock, hook: { before, after: (call) => onCall.after?.(call) } }));
  longRuns = new LongRuns({
    boot: "task-1",
    parked,
    clock,
    timings,
    emit: (event) => void events.push(event),
    running: () => running,
    giveBackOlderThan: (ms) => void handedBack.push(ms),
  });
  await longRuns.start();
  onTestFinished(async () => {
    onCall = {};
    await longRuns.stop();
    vi.useRealTimers();
  });
});

function start(id = "job-1", attempt = 1): Job {
  const job = new Job(id, clock.monotonic(), attempt);
  running.push(job.run);
  return job;
}

async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= longBeat) {
    clock.advance(Math.min(longBeat, left));
    await vi.advanceTimersByTimeAsync(Math.min(longBeat, left));
  }
}

const item = ({ envelope }: Job) => parked.get(envelope);
const lost = () => Promise.reject(new Error("no answer"));

function parkAs(job: Job, reason: ParkedReason, attempt = job.envelope.attempt): Promise<string | undefined> {
  const envelope = { ...job.envelope, attempt };
  return parked.park(parkedJob(envelope, { reason, due: clock.now() + 3_600_000, since: clock.now() }), runId("task-1", job.run));
}

describe("a run that becomes old", () => {
  it("costs the table nothing before, then moves to a parked item of its own, and only then gives up its message", async () => {
    const job = start();
    await pass(long - longBeat);
    expect(calls).toEqual([]);
    expect(longRuns.isShort(job.run)).toBe(true);
    const arrived = Promise.withResolvers<void>();
    onCall.after = () => arrived.promise;
    await pass(longBeat);
    expect(job.settled).toEqual([]);
    arrived.resolve();
    onCall = {};
    await vi.advanceTimersByTimeAsync(0);
    expect(job.settled).toEqual(["ack"]);
    expect(longRuns.isShort(job.run)).toBe(false);
    const held = await item(job);
    expect(held).toMatchObject({ reason: "long", attempt: 1, run: `task-1/${job.run.number}`, due: clock.now() + longLease });
    // What the broker no longer counts: should this task die, the job has come back once.
    expect(decodeEnvelope(Buffer.from(held?.body as string))).toEqual({ ...job.envelope, returns: 1 });
  });

  it("pushes the item's due ahead, so that no pump ever finds it due", async () => {
    const job = start();
    await pass(long);
    for (let i = 0; i < 20; i++) {
      await pass(longBeat);
      expect((await item(job))?.due).toBe(clock.now() + longLease);
      expect(await parked.claim(job.envelope, clock.now(), clock.now() + 30_000)).toBeUndefined();
    }
    expect(job.run.aborted).toBeUndefined();
  });

  it("takes the item away when it ends", async () => {
    const job = start();
    await pass(long);
    await longRuns.end(job.run, job.envelope);
    expect(await item(job)).toBeUndefined();
    expect(longRuns.isShort(job.run)).toBe(true);
  });

  it("leaves the item due at once when it is handed back, held by nobody", async () => {
    const job = start();
    await pass(long);
    await longRuns.handBack(job.run, job.envelope);
    expect(await item(job)).toMatchObject({ due: clock.now() });
    expect((await item(job))?.run).toBeUndefined();
    expect(await parked.claim(job.envelope, clock.now(), clock.now() + 30_000)).toBeDefined();
  });

  it("is aborted once a pump has taken its item: another task runs the job", async () => {
    const job = start();
    await pass(long);
    clock.advance(longLease);
    expect(await parked.claim(job.envelope, clock.now(), clock.now() + 30_000)).toBeDefined();
    await pass(longBeat);
    expect(job.run.aborted).toBe("lease_lost");
    await longRuns.end(job.run, job.envelope);
    expect(await item(job)).toMatchObject({ claimed: true });
  });

  it("is one of many: all are moved, and one that cannot be pushed keeps none of the others from it", async () => {
    const jobs = Array.from({ length: 100 }, (_, i) => start(`job-${i}`));
    await pass(long);
    expect(jobs.every(({ settled }) => settled.length === 1)).toBe(true);
    onCall.before = ({ method, args }) => (method === "hold" && (args[0] as Envelope).id === "job-0" ? lost() : undefined);
    await pass(longBeat);
    const due = await Promise.all(jobs.map(async (job) => (await item(job))?.due));
    expect(due.filter((at) => at === clock.now() + longLease)).toHaveLength(99);
    expect(events).toMatchObject([{ type: "trouble", doing: "keeping the long job job-0 from falling due" }]);
    onCall = {};
    await pass(longBeat);
    expect((await item(jobs[0] as Job))?.due).toBe(clock.now() + longLease);
  });
});

describe("deliveries that wait", () => {
  it("are asked back at the same age", async () => {
    await pass(longBeat);
    expect(handedBack.length).toBeGreaterThan(0);
    expect(new Set(handedBack)).toEqual(new Set([long]));
  });
});

describe("a move that meets", () => {
  it("a table that is away keeps the message, and tries again", async () => {
    const job = start();
    onCall.before = lost;
    await pass(long + longBeat);
    expect(job.settled).toEqual([]);
    expect(events[0]).toMatchObject({ type: "trouble", doing: "parking the long job job-1" });
    onCall = {};
    await pass(longBeat);
    expect(job.settled).toEqual(["ack"]);
  });

  it("a lost answer counts the item as there: the run's end takes it away", async () => {
    const job = start();
    onCall.after = lost;
    await pass(long);
    onCall = {};
    expect(job.settled).toEqual([]);
    expect(longRuns.isShort(job.run)).toBe(false);
    expect(await item(job)).toMatchObject({ reason: "long" });
    await longRuns.end(job.run, job.envelope);
    expect(await item(job)).toBeUndefined();
  });

  it("a later attempt leaves that alone; the stale copy's message goes, before RabbitMQ loses patience with it", async () => {
    const job = start();
    await parkAs(job, "retry", 2);
    await pass(long);
    expect(await item(job)).toMatchObject({ reason: "retry", attempt: 2 });
    expect(job.settled).toEqual(["ack"]);
    expect(longRuns.isShort(job.run)).toBe(true);
    expect(job.run.aborted).toBeUndefined();
  });

  it("a lost channel does not park what RabbitMQ has back", async () => {
    const job = start();
    job.lost = true;
    await pass(long + longBeat);
    expect(calls).toEqual([]);
  });

  it("an end: what the handler's outcome wrote stands", async () => {
    const before = start("before");
    const arriving = start("arriving");
    const letGo = Promise.withResolvers<void>();
    onCall.before = ({ method, args }) => (method === "park" && (args[0] as Envelope).id === "arriving" ? letGo.promise : undefined);
    before.run.performing = false;
    await pass(long);
    // Its handler has settled: it is never moved.
    expect(await item(before)).toBeUndefined();
    expect(before.settled).toEqual([]);
    // Its write is on its way: its outcome waits for it (worker/perform.ts), and then replaces it.
    expect(arriving.run.moving).toBeDefined();
    letGo.resolve();
    await arriving.run.moving;
    arriving.run.performing = false;
    await parkAs(arriving, "snoozed");
    await pass(longBeat);
    expect(await item(arriving)).toMatchObject({ reason: "snoozed" });
    expect(arriving.run.aborted).toBeUndefined();
    await longRuns.replaced(arriving.run);
    expect(longRuns.isShort(arriving.run)).toBe(true);
    expect(arriving.run.moving).toBeUndefined();
  });

  it("an end while others are moved: a run that is over by its turn leaves no item behind", async () => {
    const jobs = Array.from({ length: 17 }, (_, i) => start(`job-${i}`));
    const last = jobs.at(-1) as Job;
    const letGo = Promise.withResolvers<void>();
    onCall.before = () => letGo.promise;
    await pass(long);
    last.run.performing = false;
    running.pop();
    letGo.resolve();
    onCall = {};
    await vi.advanceTimersByTimeAsync(0);
    expect(jobs.filter(({ settled }) => settled.length === 1)).toHaveLength(16);
    expect(await item(last)).toBeUndefined();
  });
});
