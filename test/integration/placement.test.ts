import { describe, expect, inject, it, onTestFinished } from "vitest";
import type { Partition } from "../../core/partition/partition.ts";
import { targetShares } from "../../core/partition/shares.ts";
import { keys, Pool, Probe, until } from "../fixture/pool.ts";
import { TcpProxy } from "../proxy.ts";

const KEY = "default/default";

async function setUp() {
  const probe = new Probe();
  const pool = await Pool.open(inject("amqpUrl"), [probe.job]);
  const enqueueAll = (id: string, names: readonly string[]) => Promise.all(names.map((key) => pool.enqueue(id, "probe", { key })));
  const shares = async (id: string): Promise<Readonly<Record<string, number>>> => (await pool.store.partitions.get(id))?.shares[KEY] ?? {};
  return { probe, pool, enqueueAll, shares };
}

/** The tasks that are meant for a queue of two workers. */
async function chosenFor(pool: Pool, id: string): Promise<string[]> {
  const tasks = await pool.store.tasks.leases();
  const partition = { id, status: "running", paused: [], pools: { default: { default: 2 } } } as unknown as Partition;
  return [...targetShares({ partition, pool: "default", queue: "default", tasks }).keys()].sort();
}

/** A partition id whose queue is meant for just these tasks. */
async function nameFor(pool: Pool, base: string, wanted: readonly string[]): Promise<string> {
  for (let i = 0; i < 1_000; i++) {
    const id = pool.name(`${base}${i}`);
    if (JSON.stringify(await chosenFor(pool, id)) === JSON.stringify(wanted)) return id;
  }
  throw new Error("no name found");
}

describe("a queue whose chosen tasks are full", () => {
  it("is served by a task with room, and goes back to them when they have room again", async () => {
    const { probe, pool, enqueueAll, shares } = await setUp();
    for (let i = 0; i < 3; i++) await pool.addTask({ slots: 1 });
    const hog = pool.name("hog");
    const chosen = await chosenFor(pool, hog);
    const small = await nameFor(pool, "small", chosen);
    await pool.start(hog, { default: 2 });
    await enqueueAll(hog, keys(2, "hog"));
    await until("both slots of the chosen tasks are taken", () => probe.running === 2);

    await pool.start(small, { default: 2 });
    await enqueueAll(small, ["first"]);
    await until("the third task runs the other tenant's job", () => probe.started.includes("first"));
    expect(probe.running).toBe(3);
    const [third] = (await pool.store.tasks.leases()).map(({ boot }) => boot).filter((boot) => !chosen.includes(boot));
    expect(await shares(small)).toHaveProperty([third as string]);

    probe.releaseAll();
    await until("the chosen tasks hold it again", async () => JSON.stringify(Object.keys(await shares(small)).sort()) === JSON.stringify(chosen));
    probe.runMs = 1;
    await enqueueAll(small, keys(5));
    await until("all jobs done", () => probe.finished.length === 8);
    expect(probe.deepest).toBe(3);
  });

  it("keeps its place and takes its turn when no task has room", async () => {
    const { probe, pool, enqueueAll } = await setUp();
    for (let i = 0; i < 2; i++) await pool.addTask({ slots: 1 });
    const [hog, small] = [pool.name("hog"), pool.name("small")];
    await pool.start(hog, { default: 2 });
    await enqueueAll(hog, keys(2, "hog"));
    await until("both slots are taken", () => probe.running === 2);
    await pool.start(small, { default: 2 });
    await enqueueAll(small, ["first"]);
    await until("its job waits in a task", async () => (await pool.store.parked.list(small, { limit: 1 })).jobs.length === 0);
    probe.release("hog0");
    await until("it has its turn", () => probe.started.includes("first"));
    probe.releaseAll();
  });
});

describe("a task that has lost RabbitMQ", () => {
  it("leaves due jobs and its queues to the others, and takes its part again when RabbitMQ is back", async () => {
    const { probe, pool, enqueueAll, shares } = await setUp();
    probe.runMs = 1;
    const proxy = await TcpProxy.listen(inject("amqpUrl"));
    onTestFinished(() => proxy.close());
    const cut = await pool.addTask({ amqpUrl: proxy.url });
    await pool.addTask();
    const acme = pool.name("acme");
    await pool.start(acme, { default: 4 });
    await until("each holds a part", async () => Object.values(await shares(acme)).join() === "2,2");

    proxy.refuse();
    await until("peers know", async () => (await pool.store.tasks.leases()).filter(({ connected }) => connected).length === 1);
    await until("the other holds all of it", async () => Object.values(await shares(acme)).join() === "4");
    await enqueueAll(acme, keys(40));
    await until("all jobs done, whichever part of the due index they are in", () => probe.finished.length === 40);

    proxy.flow();
    await until("each holds its part again", async () => Object.values(await shares(acme)).join() === "2,2");
    await enqueueAll(acme, keys(40, "later"));
    await until("all jobs done", () => probe.finished.length === 80);
    expect(probe.deepest).toBeLessThanOrEqual(4);
    await cut.stop();
  });
});
