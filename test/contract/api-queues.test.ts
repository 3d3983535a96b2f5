import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { type AmqpBroker, openBroker } from "../../broker/broker.ts";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { brokerQueue } from "../../core/contract/names.ts";
import { newJobId } from "../../core/job/id.ts";
import type { Belonging, Belongings } from "../../core/partition/belongings.ts";
import { apiWorld, freshPartition, lease, parkedJob } from "../api-world.ts";

const world = apiWorld();
let broker: AmqpBroker;
const made = new Set<string>();

beforeAll(async () => {
  broker = openBroker({ url: inject("amqpUrl"), name: "test api queues" });
  await broker.start();
});
afterAll(async () => {
  for (const queue of made) await broker.admin.remove(queue);
  await broker.stop();
});

const real = { withQueues: <T>(work: (queues: AmqpBroker["admin"]) => Promise<T>) => work(broker.admin) };

async function stopped(queues: Record<string, number> = { default: 1, mail: 1 }): Promise<string> {
  const p = freshPartition();
  await world.call("POST", `/partitions/${p}/start`, { queues });
  await world.call("POST", `/partitions/${p}/stop`);
  return p;
}

async function fill(p: string, queue: string, bodies: readonly string[]): Promise<void> {
  const name = brokerQueue(p, queue);
  made.add(name);
  await broker.admin.ensure(name);
  for (const body of bodies) expect(await broker.publisher.publish({ brokerQueue: name, partition: p, id: newJobId(), body })).toBe("queued");
}

const envelope = (p: string, who: string) =>
  JSON.stringify({ v: 1, id: newJobId(), name: "greet", args: { who }, partition: p, queue: "default", attempt: 1, enqueued_at: 1_000 });

describe("peek and purge", () => {
  it("show and remove what waits in RabbitMQ", async () => {
    const p = await stopped();
    const at = `/partitions/${p}/queues/default`;
    // Nothing was ever queued: RabbitMQ knows no such queue.
    expect((await world.call("GET", `${at}/jobs`, undefined, real)).body).toEqual({ jobs: [] });
    expect((await world.call("POST", `${at}/purge`, undefined, real)).body).toEqual({ removed: 0, more: false, cursor: null });

    await fill(p, "default", [envelope(p, "one"), "not a job", envelope(p, "three")]);
    const peeked = await world.call("GET", `${at}/jobs?limit=2`, undefined, real);
    expect(peeked.body.jobs).toEqual([
      {
        job_id: expect.any(String),
        name: "greet",
        args: { who: "one" },
        attempt: 1,
        enqueued_at: "1970-01-01T00:00:01.000Z",
        bytes: expect.any(Number),
      },
      { job_id: null, name: null, args: null, attempt: null, enqueued_at: null, bytes: 9 },
    ]);
    const purged = await world.call("POST", `${at}/purge`, {}, real);
    expect([purged.status, purged.body]).toEqual([202, { removed: 3, more: true, cursor: "messages" }]);
  });

  it("reach a queue that is no longer listed, and no other", async () => {
    const p = await stopped({ default: 1, mail: 1 });
    await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1 } });
    await fill(p, "mail", [envelope(p, "late")]);
    expect((await world.call("POST", `/partitions/${p}/queues/mail/purge`, undefined, real)).body).toEqual({
      removed: 1,
      more: true,
      cursor: "messages",
    });
    expect((await world.call("GET", `/partitions/${p}/queues/never/jobs`, undefined, real)).body).toMatchObject({
      status: 404,
      code: "unknown_queue",
    });
  });

  it("say so when RabbitMQ is away", async () => {
    const p = await stopped();
    const withQueues = () => Promise.reject(new BrokerUnavailable("no answer from RabbitMQ"));
    const answer = await world.call("POST", `/partitions/${p}/queues/default/purge`, undefined, { withQueues });
    expect(answer.body).toMatchObject({ status: 503, code: "broker_unavailable" });
  });
});

describe("delete", () => {
  it("refuses a running partition, and one with jobs left", async () => {
    const p = await stopped();
    const at = `/partitions/${p}`;
    await world.call("POST", `${at}/start`, { queues: { default: 1 } });
    expect((await world.call("DELETE", `${at}?force=true`, undefined, real)).body).toMatchObject({ status: 409, code: "still_running" });
    await world.call("POST", `${at}/stop`);
    await fill(p, "default", [envelope(p, "x")]);
    expect((await world.call("DELETE", at, undefined, real)).body).toMatchObject({ status: 409, code: "not_empty" });
    await broker.admin.purge(brokerQueue(p, "default"));
    const parked = parkedJob(p);
    await world.store.parked.park(parked);
    expect((await world.call("DELETE", at, undefined, real)).body).toMatchObject({ status: 409, code: "not_empty" });
    expect((await world.call("GET", at)).body.status).toBe("stopped");
  });

  it("removes queues, jobs, keys and markers, and leaves a tombstone", async () => {
    const p = await stopped();
    const at = `/partitions/${p}`;
    await fill(p, "default", [envelope(p, "x")]);
    for (let i = 0; i < 30; i++) await world.store.parked.park(parkedJob(p));
    const error = { name: "Error", message: "no" };
    const dead = {
      name: "greet",
      queue: "default",
      attempt: 1,
      reason: "failed",
      buriedAt: world.deps.clock.now(),
      error,
      history: [],
      body: "{}",
    } as const;
    await world.store.buried.bury({ ...dead, partition: p, id: "b1" });
    const now = world.deps.clock.now();
    const key = { partition: p, key: "invoice:1" };
    await world.store.queueKeys.claim(key, { outbox: parkedJob(p, { id: "k1" }), due: now, now, takeDone: true });
    await world.store.executionKeys.acquire(key, { job: "k1", enqueuedAt: now, run: "boot.1", task: "boot" }, now);
    await world.store.executionKeys.enlist(key, { job: "k2", enqueuedAt: now });
    await world.store.cancels.mark(p, "k1", now);

    const deleted = await world.call("DELETE", `${at}?force=true`, undefined, real);
    expect([deleted.status, deleted.body]).toEqual([200, { status: "deleted" }]);
    expect(await broker.admin.depth(brokerQueue(p, "default"))).toBeUndefined();
    expect((await world.store.parked.list(p, { limit: 10 })).jobs).toEqual([]);
    expect((await world.store.buried.list(p, { limit: 10 })).jobs).toEqual([]);
    expect(await world.store.queueKeys.get(key)).toBeUndefined();
    expect(await world.store.executionKeys.read(key)).toBeUndefined();
    expect(await world.store.executionKeys.waiters(key, 1)).toEqual([]);
    expect(await world.store.cancels.list(p)).toEqual([]);
    expect((await world.call("GET", at)).body.code).toBe("unknown_partition");
    expect((await world.call("POST", `${at}/jobs`, { name: "nothing" })).body.code).toBe("unknown_partition");
    // Asked again because the answer was lost.
    expect((await world.call("DELETE", at, undefined, real)).body).toEqual({ status: "deleted" });
    expect((await world.call("DELETE", `/partitions/${freshPartition()}`, undefined, real)).body.code).toBe("unknown_partition");
    // A new life goes on from the old revision.
    expect((await world.call("POST", `${at}/start`, { queues: { default: 1 } })).body.revision).toBeGreaterThan(2);
  });

  it("removes the queues, too, that the row has long forgotten; they can be looked into until then", async () => {
    const p = await stopped({ old: 1 });
    const at = `/partitions/${p}`;
    await fill(p, "old", [envelope(p, "x")]);
    for (const n of [1, 2, 3]) await world.call("POST", `${at}/start`, { queues: { default: n } });
    expect((await world.store.partitions.get(p))?.held).toEqual({ "default/default": 0 });
    expect((await world.call("GET", `${at}/queues/old/jobs`, undefined, real)).body.jobs).toHaveLength(1);
    await world.call("POST", `${at}/stop`);
    expect((await world.call("DELETE", at, undefined, real)).body).toMatchObject({ status: 409, code: "not_empty" });
    expect((await world.call("DELETE", `${at}?force=true`, undefined, real)).body).toEqual({ status: "deleted" });
    expect(await broker.admin.depth(brokerQueue(p, "old"))).toBeUndefined();
  });

  it("waits for what is held, and takes no jobs meanwhile", async () => {
    const p = freshPartition();
    const at = `/partitions/${p}`;
    await world.call("POST", `${at}/start`, { queues: { default: 1 } });
    const task = lease();
    await world.store.tasks.register(task);
    const move = { partition: p, key: "default/default", task: task.boot, maxWorkers: 1 } as const;
    expect((await world.store.partitions.moveShare({ ...move, revision: 1, from: 0, to: 1 })).moved).toBe(true);
    await world.call("POST", `${at}/stop`);
    expect((await world.call("DELETE", at, undefined, real)).body.code).toBe("not_empty");
    const first = await world.call("DELETE", `${at}?force=true`, undefined, real);
    expect([first.status, first.body]).toEqual([202, { status: "deleting" }]);
    expect((await world.call("POST", `${at}/jobs`, { name: "nothing" })).body.code).toBe("unknown_partition");
    expect((await world.call("POST", `${at}/start`, { queues: {} })).body.code).toBe("still_running");
    await world.store.partitions.moveShare({ ...move, revision: 3, from: 1, to: 0 });
    expect((await world.call("DELETE", at, undefined, real)).body).toEqual({ status: "deleted" });
    await world.store.tasks.forget(task.boot);
  });

  it.each(["remove what waits", "remove queues", "remove the rest", "bury"])("can be repeated when it died at: %s", async (step) => {
    const p = await stopped();
    await fill(p, "default", [envelope(p, "x")]);
    await world.store.parked.park(parkedJob(p));
    const died = () => Promise.reject(new Error("died"));
    const { partitions, belongings } = world.store;
    const diesAt = (last: Belonging): Belongings => ({
      removeSome: (partition, what, limit) => (what === last ? died() : belongings.removeSome(partition, what, limit)),
    });
    const broken = {
      "remove what waits": { ...real, store: { ...world.store, belongings: diesAt("waiting") } },
      "remove queues": { withQueues: died },
      "remove the rest": { ...real, store: { ...world.store, belongings: diesAt("rest") } },
      bury: { ...real, store: { ...world.store, partitions: { ...partitions, bury: died } } },
    }[step];
    expect((await world.call("DELETE", `/partitions/${p}?force=true`, undefined, broken)).status).toBe(500);
    expect((await world.call("DELETE", `/partitions/${p}`, undefined, real)).body).toEqual({ status: "deleted" });
    expect(await broker.admin.depth(brokerQueue(p, "default"))).toBeUndefined();
  });
});
