import { randomUUID } from "node:crypto";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { z } from "zod";
import { defineJob } from "../../core/job/define-job.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import { Discard, Snooze } from "../../core/job/verdicts.ts";
import { Pool, Probe, until } from "../fixture/pool.ts";
import { TcpProxy } from "../proxy.ts";

const anything = z.object({ key: z.string() });

/** A job that does what it is told at each attempt, and counts. */
function scripted(name: string, steps: readonly (() => unknown)[], retry?: { levels: number[] }) {
  const attempts: number[] = [];
  const job = defineJob({
    name,
    args: anything,
    ...(retry === undefined ? {} : { retry }),
    perform: async (_, ctx) => {
      attempts.push(ctx.attempt);
      await steps[attempts.length - 1]?.();
    },
  });
  return { job, attempts };
}

const fail = (error: unknown) => () => {
  throw error;
};

async function running(jobs: Parameters<typeof Pool.open>[1], max = 5) {
  const pool = await Pool.open(inject("amqpUrl"), jobs);
  const acme = pool.name("acme");
  await pool.addTask();
  await pool.start(acme, { default: max });
  const buried = async () => (await pool.store.buried.list(acme, { limit: 50 })).jobs;
  const parked = async () => (await pool.store.parked.list(acme, { limit: 50 })).jobs;
  return { pool, acme, buried, parked };
}

describe("a job", () => {
  it("that fails is buried with its error, at once when it is not retried", async () => {
    const { job, attempts } = scripted("boom", [fail(new TypeError("no such thing"))]);
    const { pool, acme, buried } = await running([job]);
    const id = await pool.enqueue(acme, "boom", { key: "x" });
    await until("it is buried", async () => (await buried()).length === 1);
    const grave = await pool.store.buried.get(acme, id);
    expect(grave).toMatchObject({
      id,
      name: "boom",
      queue: "default",
      attempt: 1,
      reason: "failed",
      error: { name: "TypeError", message: "no such thing" },
    });
    expect(grave?.error.stack).toContain("TypeError");
    expect(grave?.history).toHaveLength(1);
    expect(attempts).toEqual([1]);
  });

  it("is retried through its levels with its history, and ends done", async () => {
    const { job, attempts } = scripted("flaky", [fail(new Error("one")), fail(new Error("two"))], { levels: [0.05, 0.05] });
    const { pool, acme, buried, parked } = await running([job]);
    await pool.enqueue(acme, "flaky", { key: "x" });
    await until("three attempts", () => attempts.length === 3);
    await until("nothing is parked", async () => (await parked()).length === 0);
    expect(attempts).toEqual([1, 2, 3]);
    expect(await buried()).toEqual([]);
  });

  it("is buried with every attempt's error when its levels are used up", async () => {
    const { job } = scripted("hopeless", [fail(new Error("one")), fail(new Error("two"))], { levels: [0.05] });
    const { pool, acme, buried } = await running([job]);
    await pool.enqueue(acme, "hopeless", { key: "x" });
    await until("it is buried", async () => (await buried()).length === 1);
    const [grave] = await buried();
    expect(grave?.history.map(({ attempt, error }) => [attempt, error.message])).toEqual([
      [1, "one"],
      [2, "two"],
    ]);
  });

  it("obeys Discard and Snooze: no retry, no attempt charged", async () => {
    const discarded = scripted("discarded", [fail(new Discard("gone"))], { levels: [1, 1] });
    const snoozed = scripted("snoozed", [fail(new Snooze(0.05)), fail(new Snooze(0.05))]);
    const { pool, acme, buried } = await running([discarded.job, snoozed.job]);
    await pool.enqueue(acme, "discarded", { key: "x" });
    await pool.enqueue(acme, "snoozed", { key: "x" });
    await until("both are through", async () => snoozed.attempts.length === 3 && (await buried()).length === 1);
    expect(snoozed.attempts).toEqual([1, 1, 1]);
    expect((await buried())[0]).toMatchObject({ name: "discarded", reason: "discarded" });
  });

  it("with args that its schema refuses is buried, unrun, saying which", async () => {
    const { job, attempts } = scripted("strict", []);
    const { pool, acme, buried } = await running([job]);
    await pool.enqueue(acme, "strict", { key: 7 });
    await until("it is buried", async () => (await buried()).length === 1);
    expect((await buried())[0]).toMatchObject({ reason: "invalid_args", error: { message: expect.stringMatching(/^args\.key: /) } });
    expect(attempts).toEqual([]);
  });

  it("of a name that no worker knows waits until one does", async () => {
    const { job, attempts } = scripted("tomorrow", []);
    const { pool, acme, buried, parked } = await running([]);
    const id = await pool.enqueue(acme, "tomorrow", { key: "x" });
    await until("it is parked as unknown", async () => (await parked()).some(({ reason }) => reason === "unknown_name"));
    const [old] = await pool.store.tasks.leases();
    await pool.addTask({ jobs: [job] });
    const item = await pool.store.parked.get({ partition: acme, id });
    if (item !== undefined) await pool.store.parked.postpone(item, item.rev, 0);
    // The old build may get it again, and then parks it again: in the end the new one has it.
    await until("it is run", async () => {
      const waiting = await pool.store.parked.get({ partition: acme, id });
      if (waiting?.reason === "unknown_name") await pool.store.parked.postpone(waiting, waiting.rev, 0);
      return attempts.length > 0;
    });
    expect(old).toBeDefined();
    expect(await buried()).toEqual([]);
  });
});

describe("a message", () => {
  it("that is no job, or another tenant's, is buried whole under the tenant whose queue it came through", async () => {
    const probe = new Probe();
    const { pool, acme, buried } = await running([probe.job]);
    const { broker } = pool;
    const stranger: Envelope = {
      v: 1,
      id: randomUUID(),
      name: "probe",
      args: { key: "x" },
      partition: pool.name("globex"),
      queue: "default",
      attempt: 1,
      enqueued_at: 1,
    };
    const bodies = ["{no json", JSON.stringify({ v: 9 }), JSON.stringify(stranger)];
    await until("the queue is declared", async () => (await broker.admin.depth(`${acme}-default`)) !== undefined);
    for (const [i, body] of bodies.entries()) await broker.publisher.publish({ brokerQueue: `${acme}-default`, partition: acme, id: `m${i}`, body });
    await until("all are buried", async () => (await buried()).length === 3);
    expect((await buried()).map(({ body }) => body).sort()).toEqual([...bodies].sort());
    expect((await buried()).every(({ reason }) => reason === "invalid_envelope")).toBe(true);
    expect(probe.started).toEqual([]);
  });

  it("that comes again after its outcome was recorded is dropped", async () => {
    const { job, attempts } = scripted("late", [fail(new Error("x"))], { levels: [3600] });
    const { pool, acme, parked } = await running([job]);
    const id = await pool.enqueue(acme, "late", { key: "x" });
    await until("its retry is parked", async () => (await parked())[0]?.reason === "retry");
    const before = await pool.store.parked.get({ partition: acme, id });
    // A copy of attempt 1 that was handed back once, as after a lost ack.
    const hold = new Probe();
    const { broker } = pool;
    await pool.command(acme, { type: "pause", queue: "default" });
    const body = JSON.stringify({ ...JSON.parse(before?.body as string), attempt: 1, history: undefined });
    await broker.publisher.publish({ brokerQueue: `${acme}-default`, partition: acme, id, body });
    await broker.admin.peek(`${acme}-default`, 1);
    await pool.command(acme, { type: "resume", queue: "default" });
    await until("the copy is gone", async () => (await broker.admin.depth(`${acme}-default`)) === 0 && hold.running === 0);
    await until("the item was touched", async () => (await pool.store.parked.get({ partition: acme, id }))?.rev !== before?.rev);
    expect(attempts).toEqual([1]);
  });
});

describe("a job that is handed back before the pump has deleted what it published", () => {
  it("runs again at once, not when the pump's claim has lapsed", async () => {
    const probe = new Probe();
    const { pool, acme, parked } = await running([probe.job]);
    const remove = pool.store.parked.remove.bind(pool.store.parked);
    let letGo = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    pool.store.parked.remove = async (ref, rev) => {
      await held;
      return remove(ref, rev);
    };
    await pool.enqueue(acme, "probe", { key: "x" });
    await until("it runs", () => probe.running === 1);
    await pool.command(acme, { type: "stop" });
    await until("it is aborted", () => probe.aborted.length === 1);
    probe.runMs = 1;
    await pool.start(acme, { default: 1 });
    await until("it runs again", () => probe.finished.length === 1, 8_000);
    letGo();
    await until("nothing is left", async () => (await parked()).length === 0);
    expect(probe.started).toHaveLength(2);
  });
});

describe("a task whose connection is cut", () => {
  it("aborts what ran, consumes again, and nothing is lost or runs beside itself", async () => {
    const probe = new Probe();
    const pool = await Pool.open(inject("amqpUrl"), [probe.job]);
    const proxy = await TcpProxy.listen(inject("amqpUrl"));
    onTestFinished(() => proxy.close());
    const acme = pool.name("acme");
    await pool.addTask({ amqpUrl: proxy.url });
    await pool.start(acme, { default: 3 });
    for (let i = 0; i < 10; i++) await pool.enqueue(acme, "probe", { key: `k${i}` });
    await until("three run", () => probe.running === 3);
    const cutAt = performance.now();
    proxy.cut();
    await until("the runs are aborted", () => probe.aborted.length === 3);
    await until("three run again", () => probe.running === 3);
    expect(performance.now() - cutAt).toBeLessThan(10_000);
    probe.runMs = 5;
    probe.releaseAll();
    await until("all jobs done", () => probe.finished.length === 10);
    expect(probe.deepest).toBe(3);
    expect([...probe.finished].sort()).toEqual(Array.from({ length: 10 }, (_, i) => `k${i}`));
  });
});
