import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { systemClock } from "../../core/contract/clock.ts";
import { checkTimings, type Timings } from "../../core/contract/limits.ts";
import { cancelJob } from "../../core/job/cancel.ts";
import type { JobContext } from "../../core/job/context.ts";
import { defineJob, type JobDefinition } from "../../core/job/define-job.ts";
import { Discard, Snooze } from "../../core/job/verdicts.ts";
import type { Rabbit } from "../../local/rabbitmq/rabbit.ts";
import { startRabbit } from "../../local/rabbitmq/start.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import type { Store } from "../../store/store.ts";
import { FAST, keys, MORTAL, Pool, Probe, until } from "../fixture/pool.ts";
import { TcpProxy } from "../proxy.ts";

/** After so long, RabbitMQ closes the channel of a message that is not acked. */
const PATIENCE_MS = 4_000;
const QUICK = checkTimings({ ...MORTAL, long: 1_000, longBeat: 300 });

let rabbit: Rabbit;
beforeAll(async () => {
  rabbit = await startRabbit({ consumerTimeoutMs: PATIENCE_MS });
});
afterAll(() => rabbit.stop());

async function open(jobs: readonly unknown[], timings: Timings = QUICK) {
  const pool = await Pool.open(rabbit.url, jobs as readonly JobDefinition[], { timings });
  const acme = pool.name("acme");
  const item = (id: string) => pool.store.parked.get({ partition: acme, id });
  const channelsLost = () => pool.brokerEvents.filter(({ kind }) => kind === "channel_lost");
  const nothingLeft = () =>
    until("nothing is parked or queued", async () => {
      const { jobs: parked } = await pool.store.parked.list(acme, { limit: 10 });
      return parked.length === 0 && (await pool.broker.admin.depth(`${acme}-default`)) === 0;
    });
  /** Its message is acked, its item held. */
  const isLong = (id: string) => until(`${id} is long`, async () => (await item(id))?.reason === "long");
  return { pool, acme, item, isLong, channelsLost, nothingLeft };
}

/** The store of a task that can die: from then on nothing of it reaches the table. */
function mortal(store: Store): { readonly store: Store; die(): void; rise(): void } {
  let dead = false;
  const port = (methods: object): object =>
    Object.fromEntries(
      Object.entries(methods as Record<string, (...args: unknown[]) => Promise<unknown>>).map(([name, call]) => [
        name,
        (...args: unknown[]) => (dead ? Promise.reject(new StoreUnavailable("dead")) : call.apply(methods, args)),
      ]),
    );
  const ports = Object.fromEntries(Object.entries(store).map(([name, methods]) => [name, port(methods as object)]));
  return {
    store: ports as unknown as Store,
    die: () => {
      dead = true;
    },
    rise: () => {
      dead = false;
    },
  };
}

describe("without the move to a parked item", () => {
  it("RabbitMQ closes the channel of a job that runs for longer than its patience", async () => {
    const probe = new Probe();
    const { pool, acme, channelsLost } = await open([probe.job], FAST);
    await pool.addTask();
    await pool.start(acme, { default: 1 });
    await pool.enqueue(acme, "probe", { key: "x" });
    await until("its channel is closed, and it is aborted", () => probe.aborted.length === 1, 30_000);
    expect(channelsLost()).toHaveLength(1);
    probe.runMs = 1;
    await until("it runs again", () => probe.finished.length === 1);
  });
});

describe("a job that runs three times as long as RabbitMQ is patient", () => {
  it("runs once and is done, and its neighbours do not notice", async () => {
    const probe = new Probe();
    const { pool, acme, channelsLost, nothingLeft } = await open([probe.job]);
    await pool.addTask();
    await pool.addTask();
    await pool.start(acme, { default: 4 });
    const begun = performance.now();
    await pool.enqueue(acme, "probe", { key: "long" });
    await until("it runs", () => probe.running === 1);
    for (const key of keys(20)) {
      await pool.enqueue(acme, "probe", { key });
      await until("a neighbour runs", () => probe.started.includes(key));
      probe.release(key);
    }
    await until("it is old enough", () => performance.now() - begun > 3 * PATIENCE_MS, 30_000);
    expect(probe.running).toBe(1);
    probe.release("long");
    await nothingLeft();
    expect(probe.started.filter((key) => key === "long")).toHaveLength(1);
    expect(probe.finished).toHaveLength(21);
    expect(probe.aborted).toEqual([]);
    expect(channelsLost()).toEqual([]);
    expect(pool.events.filter(({ type }) => type === "trouble" || type === "job_handed_back")).toEqual([]);
  });
});

describe("a long job whose task", () => {
  it("dies runs again in another as soon as its item falls due", async () => {
    const started: string[] = [];
    const zombie = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    // Deaf to its abort, as a process that is no more.
    const run = (task: string, until: Promise<void>) => () => {
      started.push(task);
      return until;
    };
    const jobOf = (task: string, until: Promise<void>) => [defineJob({ name: "deaf", args: z.object({}), perform: run(task, until) })];
    const { pool, acme, item, isLong, nothingLeft } = await open([]);
    const proxy = await TcpProxy.listen(rabbit.url);
    const first = mortal(pool.store);
    onTestFinished(async () => {
      first.rise();
      zombie.resolve();
      proxy.flow();
      await proxy.close();
    });
    await pool.addTask({ jobs: jobOf("first", zombie.promise) as unknown as JobDefinition[], store: first.store, amqpUrl: proxy.url });
    await pool.start(acme, { default: 1 });
    const id = await pool.enqueue(acme, "deaf", {});
    await isLong(id);
    const held = await item(id);
    first.die();
    proxy.refuse();
    await pool.addTask({ jobs: jobOf("second", end.promise) as unknown as JobDefinition[] });
    await until("it runs in the other", () => started.length === 2, 30_000);
    expect(started).toEqual(["first", "second"]);
    expect(Date.now()).toBeGreaterThanOrEqual(held?.due as number);
    await isLong(id);
    // Whoever comes back from the dead finds the item in other hands.
    first.rise();
    zombie.resolve();
    await until("the first has settled", () => pool.events.some((event) => event.type === "job_handed_back" || event.type === "lease_lost"));
    expect((await item(id))?.run).not.toBe(held?.run);
    end.resolve();
    await nothingLeft();
    expect(started).toEqual(["first", "second"]);
  });

  it("stops in order is handed back at once, no attempt charged", async () => {
    const probe = new Probe();
    const { pool, acme, isLong, nothingLeft } = await open([probe.job]);
    const worker = await pool.addTask();
    await pool.start(acme, { default: 1 });
    const id = await pool.enqueue(acme, "probe", { key: "x" });
    await isLong(id);
    void worker.stop();
    await worker.stop();
    const item = await pool.store.parked.get({ partition: acme, id });
    expect(item).toMatchObject({ attempt: 1 });
    expect(item?.run).toBeUndefined();
    expect(item?.due).toBeLessThanOrEqual(Date.now());
    probe.runMs = 10;
    await pool.addTask();
    await until("it ends in another", () => probe.finished.length === 1);
    await nothingLeft();
  });
});

describe("a delivery that waits for its turn", () => {
  it("is handed back before RabbitMQ loses patience, again and again, and runs in the end", async () => {
    const probe = new Probe();
    const { pool, acme, channelsLost, nothingLeft } = await open([probe.job]);
    await pool.addTask({ slots: 1 });
    await pool.start(acme, { default: 3 });
    await pool.enqueue(acme, "probe", { key: "first" });
    await until("the only slot is taken", () => probe.running === 1);
    const begun = performance.now();
    for (const key of ["second", "third"]) await pool.enqueue(acme, "probe", { key });
    await until("RabbitMQ would have lost patience twice", () => performance.now() - begun > 2 * PATIENCE_MS + 1_000, 30_000);
    expect(probe.started).toEqual(["first"]);
    expect(channelsLost()).toEqual([]);
    probe.runMs = 10;
    probe.releaseAll();
    await until("all are done", () => probe.finished.length === 3);
    await nothingLeft();
    expect(probe.aborted).toEqual([]);
  });
});

describe("the outcome of a long job", () => {
  it("is recorded as any other's: retried, snoozed, buried, cancelled", async () => {
    const letGo = Promise.withResolvers<void>();
    const attempts: string[] = [];
    const thrown: Record<string, (attempt: number) => unknown> = {
      retry: (attempt) => (attempt === 1 ? new Error("once") : undefined),
      snooze: () => (attempts.filter((name) => name.startsWith("snooze")).length === 1 ? new Snooze(0.2) : undefined),
      bury: () => new Discard("enough"),
    };
    const perform = async ({ what }: { what: string }, { attempt, signal }: JobContext) => {
      attempts.push(`${what} ${attempt}`);
      await Promise.race([letGo.promise, new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)))]);
      const error = thrown[what]?.(attempt);
      if (error !== undefined) throw error;
    };
    const job = defineJob({ name: "any", args: z.object({ what: z.string() }), retry: { levels: [0.2] }, perform });
    const { pool, acme, isLong, item, nothingLeft } = await open([job]);
    await pool.addTask();
    await pool.start(acme, { default: 5 });
    const ids: Record<string, string> = {};
    for (const what of ["retry", "snooze", "bury", "cancel"]) {
      const id = await pool.enqueue(acme, "any", { what });
      ids[what] = id;
      await isLong(id);
    }
    const cancelled = await cancelJob({ ...pool.store, clock: systemClock }, acme, ids.cancel as string);
    expect(cancelled).toBe("cancelling");
    await until("it is cancelled", () => pool.events.some((event) => event.type === "job_cancelled" && event.job.id === ids.cancel));
    await until("its item is gone", async () => (await item(ids.cancel as string)) === undefined);
    letGo.resolve();
    await until("the others have gone on", () => attempts.length === 6);
    await nothingLeft();
    expect([...attempts].sort()).toEqual(["bury 1", "cancel 1", "retry 1", "retry 2", "snooze 1", "snooze 1"]);
    const { jobs: buried } = await pool.store.buried.list(acme, { limit: 10 });
    expect(buried).toMatchObject([{ id: ids.bury, reason: "discarded", error: { message: "enough" } }]);
  });
});
