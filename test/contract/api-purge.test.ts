import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it, vi } from "vitest";
import { type AmqpBroker, openBroker } from "../../broker/broker.ts";
import { brokerQueue } from "../../core/contract/names.ts";
import { newJobId } from "../../core/job/id.ts";
import type { ParkedReason } from "../../core/job/parked.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { apiWorld, freshPartition, lease, parkedJob } from "../api-world.ts";
import { ownerOf } from "../key-owner.ts";

const world = apiWorld();
let broker: AmqpBroker;
const made = new Set<string>();

beforeAll(async () => {
  broker = openBroker({ url: inject("amqpUrl"), name: "test api purge" });
  await broker.start();
});
afterAll(async () => {
  for (const queue of made) await broker.admin.remove(queue);
  await broker.stop();
});

const real = { withQueues: <T>(work: (queues: AmqpBroker["admin"]) => Promise<T>) => work(broker.admin) };

async function started(): Promise<string> {
  const p = freshPartition();
  await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1, mail: 1 } });
  return p;
}

async function fill(name: string, bodies: readonly string[]): Promise<void> {
  made.add(name);
  await broker.admin.ensure(name);
  await Promise.all(bodies.map((body) => broker.publisher.publish({ brokerQueue: name, partition: "p", id: newJobId(), body })));
}

const message = (p: string, change: object = {}) =>
  JSON.stringify({
    v: 1,
    id: newJobId(),
    name: "greet",
    args: { who: "you" },
    partition: p,
    queue: "default",
    attempt: 1,
    enqueued_at: 1_000,
    ...change,
  });

const purge = async (p: string, replaced: object = {}, queue = "default") =>
  world.call("POST", `/partitions/${p}/queues/${queue}/purge`, undefined, { ...real, ...replaced });
/** What a part answers after which only messages may be left: that there are none is seen by the next, which removes none. */
const removed = (count: number) => ({ removed: count, more: count > 0, cursor: count > 0 ? "messages" : null });
const depth = (p: string, queue = "default") => broker.admin.depth(brokerQueue(p, queue));

/** A job that was accepted with a queue key, and brought to its queue by a pump. */
async function queued(p: string, invoice: string): Promise<string> {
  const { job_id } = (await world.call("POST", `/partitions/${p}/jobs`, { name: "invoice", args: { invoice } })).body;
  const parked = await world.store.parked.get({ partition: p, id: job_id });
  await world.store.parked.remove(parked!, parked!.rev);
  await fill(brokerQueue(p, "default"), [parked!.body]);
  return job_id;
}

const key = (p: string, invoice: string) => ({ partition: p, key: `invoice:${invoice}` });

/** Every look at it takes longer than a request has: one page of parked jobs each. */
function hastyClock() {
  const { clock } = world.deps;
  let ms = 0;
  return { now: () => clock.now(), monotonic: () => (ms += 8_000) };
}

/** Asks until there is no cursor. @returns how many went each time */
async function allParts(p: string, queue: string, replaced: object = {}): Promise<number[]> {
  const parts: number[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const at = `/partitions/${p}/queues/${queue}/purge${cursor === "" ? "" : `?cursor=${cursor}`}`;
    const { body } = await world.call("POST", at, undefined, { ...real, ...replaced });
    expect(body.more).toBe(body.cursor !== null);
    parts.push(body.removed);
    cursor = body.cursor;
  }
  return parts;
}

describe("purge", () => {
  it("removes messages and frees their queue keys", async () => {
    const p = await started();
    await fill(brokerQueue(p, "default"), [message(p), "no job", message("another")]);
    await queued(p, "1");
    expect((await purge(p)).body).toEqual(removed(4));
    expect((await purge(p)).body).toEqual(removed(0));
    expect(await world.store.queueKeys.get(key(p, "1"))).toMatchObject({ state: "done" });
    expect((await world.call("POST", `/partitions/${p}/jobs`, { name: "invoice", args: { invoice: "1" } })).status).toBe(202);
    await vi.waitFor(async () => expect(await depth(p)).toBe(0));
  });

  it("removes what is parked on its way to the queue, and nothing else that is parked", async () => {
    const p = await started();
    const due = world.deps.clock.now() + 60_000;
    const park = async (reason: ParkedReason, change: object = {}) => {
      const job = parkedJob(p, { reason, due, ...change });
      await world.store.parked.park(job);
      return job.id;
    };
    for (const reason of ["outbox", "waiting", "suspect"] as const) await park(reason);
    const stays = [await park("outbox", { queue: "mail" })];
    for (const reason of ["delayed", "retry", "snoozed", "long", "unknown_name"] as const) stays.push(await park(reason));
    const { job_id } = (await world.call("POST", `/partitions/${p}/jobs`, { name: "invoice", args: { invoice: "1" } })).body;
    expect((await purge(p)).body).toEqual({ removed: 4, more: false, cursor: null });
    const left = (await world.store.parked.list(p, { limit: 20 })).jobs.map(({ id }) => id);
    expect(left).toEqual(stays.sort());
    expect(left).not.toContain(job_id);
    expect(await world.store.queueKeys.get(key(p, "1"))).toMatchObject({ state: "done" });
  });

  it("leaves a message whose key a living run may hold, and takes it once the run has ended", async () => {
    const p = await started();
    await queued(p, "1");
    await fill(brokerQueue(p, "default"), [message(p)]);
    const task = lease();
    await world.store.tasks.register(task);
    const me = { ...(await ownerOf(world.store.queueKeys, key(p, "1"))), run: `${task.boot}/1`, task: task.boot };
    await world.store.queueKeys.begin(key(p, "1"), me, 1, world.deps.clock.now());
    expect((await purge(p)).body).toEqual(removed(1));
    expect(await world.store.queueKeys.get(key(p, "1"))).toMatchObject({ state: "running" });
    await vi.waitFor(async () => expect(await depth(p)).toBe(1));
    await world.store.queueKeys.giveBack(key(p, "1"), `${task.boot}/1`, 1);
    await world.store.tasks.forget(task.boot);
    expect((await purge(p)).body).toEqual(removed(1));
    expect(await world.store.queueKeys.get(key(p, "1"))).toMatchObject({ state: "done" });
  });

  it("frees no key of a job that lives on elsewhere: only a copy is removed", async () => {
    const p = await started();
    const later = await queued(p, "1");
    const me = { ...(await ownerOf(world.store.queueKeys, key(p, "1"))), run: "t/1", task: "t" };
    await world.store.queueKeys.begin(key(p, "1"), me, 1, 1);
    await world.store.queueKeys.giveBack(key(p, "1"), "t/1", 2);
    const snoozed = await queued(p, "2");
    const { enqueuedAt } = await ownerOf(world.store.queueKeys, key(p, "2"));
    await world.store.parked.park(parkedJob(p, { id: snoozed, enqueuedAt, reason: "snoozed" }));
    await queued(p, "3");
    await world.store.queueKeys.release(key(p, "3"), await ownerOf(world.store.queueKeys, key(p, "3")), 99, world.deps.clock.now() + 1_000);
    const other = (await world.call("POST", `/partitions/${p}/jobs`, { name: "invoice", args: { invoice: "3" }, delay: 60 })).body.job_id;
    expect((await purge(p)).body).toEqual(removed(3));
    expect(await world.store.queueKeys.get(key(p, "1"))).toMatchObject({ jobId: later, state: "queued", attempt: 2 });
    expect(await world.store.queueKeys.get(key(p, "2"))).toMatchObject({ jobId: snoozed, state: "queued" });
    expect(await world.store.queueKeys.get(key(p, "3"))).toMatchObject({ jobId: other, state: "queued" });
  });

  it("frees no key of another tenant or queue, whatever a message says", async () => {
    const p = await started();
    const victim = await started();
    const { job_id } = (await world.call("POST", `/partitions/${victim}/jobs`, { name: "invoice", args: { invoice: "1" } })).body;
    const forged = { id: job_id, queue_key: "invoice:1" };
    await fill(brokerQueue(p, "default"), [message(victim, forged), message(p, { queue: "mail" })]);
    expect((await purge(p)).body).toEqual(removed(2));
    expect(await world.store.queueKeys.get(key(victim, "1"))).toMatchObject({ jobId: job_id, state: "queued" });
  });

  it("takes a part at a time, and says when it is through", async () => {
    const p = await started();
    await fill(brokerQueue(p, "mail"), Array(2_100).fill(message(p, { queue: "mail" })));
    const parts = await allParts(p, "mail");
    expect(parts.reduce((sum, part) => sum + part)).toBe(2_100);
    // As many as that, or what a slow machine has time for.
    expect(Math.max(...parts)).toBeLessThanOrEqual(2_000);
    expect(parts.length).toBeGreaterThanOrEqual(3);
    expect((await purge(p, {}, "mail")).body).toEqual(removed(0));
  });

  it("gets through more parked jobs than one request has time for, whichever queue they are for", async () => {
    const p = await started();
    for (let i = 0; i < 250; i++) await world.store.parked.park(parkedJob(p, { id: `a-${i}`, reason: "outbox", queue: "mail" }));
    for (let i = 0; i < 3; i++) await world.store.parked.park(parkedJob(p, { id: `b-${i}`, reason: "outbox" }));
    const parts = await allParts(p, "default", { clock: hastyClock() });
    expect(parts).toEqual([0, 0, 3]);
    expect((await world.store.parked.list(p, { limit: 1_000 })).jobs).toHaveLength(250);
  });

  it("begins anew without a cursor, and takes none that it did not give", async () => {
    const p = await started();
    for (let i = 0; i < 150; i++) await world.store.parked.park(parkedJob(p, { id: `a-${i}`, reason: "outbox", queue: "mail" }));
    const part = async () => (await purge(p, { clock: hastyClock() })).body;
    expect(await part()).toMatchObject({ removed: 0, more: true, cursor: expect.any(String) });
    expect(await part()).toEqual(await part());
    const url = `/partitions/${p}/queues/default/purge?cursor=nonsense`;
    expect((await world.call("POST", url, undefined, real)).body).toMatchObject({ status: 400, code: "invalid_request", field: "cursor" });
  });

  it("ends at messages that it must leave", async () => {
    const p = await started();
    const withQueues = (work: (queues: never) => Promise<unknown>) => work({ take: async () => 0 } as never);
    expect((await purge(p, { withQueues })).body).toEqual(removed(0));
  });

  it("loses nothing when the store is away: what was settled is gone, the rest is back", async () => {
    const p = await started();
    await queued(p, "1");
    await queued(p, "2");
    const release: typeof world.store.queueKeys.release = (ref, ...more) =>
      ref.key === "invoice:2" ? Promise.reject(new StoreUnavailable("no answer")) : world.store.queueKeys.release(ref, ...more);
    const store = { ...world.store, queueKeys: { ...world.store.queueKeys, release } };
    expect((await purge(p, { store })).body).toMatchObject({ status: 503, code: "store_unavailable" });
    await vi.waitFor(async () => expect(await depth(p)).toBe(1));
    expect((await purge(p)).body).toEqual(removed(1));
  });
});

describe("taking messages out of a queue", () => {
  it("tells of a queue that does not exist, and of none that is empty", async () => {
    const name = brokerQueue(`t-${randomUUID().slice(0, 8)}`, "default");
    const settle = async () => true;
    expect(await broker.admin.take(name, { limit: 1, withinMs: 1_000, settle })).toBeUndefined();
    await fill(name, []);
    expect(await broker.admin.take(name, { limit: 10, withinMs: 1_000, settle })).toBe(0);
  });

  it("takes no more than asked for", async () => {
    const name = brokerQueue(`t-${randomUUID().slice(0, 8)}`, "default");
    await fill(name, ["1", "2", "3"]);
    const seen: string[] = [];
    const settle = async (body: Buffer) => {
      seen.push(body.toString());
      return body.toString() !== "1";
    };
    expect(await broker.admin.take(name, { limit: 2, withinMs: 5_000, settle })).toBe(1);
    expect(seen).toEqual(["1", "2"]);
    await vi.waitFor(async () => expect(await broker.admin.depth(name)).toBe(2));
  });

  it("begins with none when the time is up", async () => {
    const name = brokerQueue(`t-${randomUUID().slice(0, 8)}`, "default");
    await fill(name, Array(40).fill("x"));
    const begun = performance.now();
    const settle = async () => {
      await vi.waitFor(() => expect(performance.now() - begun).toBeGreaterThan(600));
      return true;
    };
    const taken = await broker.admin.take(name, { limit: 40, withinMs: 300, settle });
    expect(taken).toBe(16);
    await vi.waitFor(async () => expect(await broker.admin.depth(name)).toBe(24));
  });
});
