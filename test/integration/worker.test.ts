import { describe, expect, inject, it } from "vitest";
import { forEachWithin } from "../../core/contract/window.ts";
import { totalHeld } from "../../core/partition/partition.ts";
import { keys, Pool, Probe, until } from "../fixture/pool.ts";

async function setUp(tasks: number, slots = 20) {
  const probe = new Probe();
  const pool = await Pool.open(inject("amqpUrl"), [probe.job]);
  const workers = [];
  for (let i = 0; i < tasks; i++) workers.push(await pool.addTask({ slots }));
  const enqueueAll = (id: string, names: readonly string[], queue = "default") =>
    // Not all at once: worker and emulator share this process, and an answer that comes late is one that never came.
    forEachWithin(10, names, async (key) => void (await pool.enqueue(id, "probe", { key }, { queue })));
  return { probe, pool, workers, enqueueAll };
}

const sorted = (list: readonly string[]) => [...list].sort();

describe("max_workers", () => {
  it("is exact over three tasks, reached, and every job runs once", async () => {
    const { probe, pool, enqueueAll } = await setUp(3);
    const acme = pool.name("acme");
    await pool.start(acme, { default: 5 });
    probe.runMs = 40;
    await enqueueAll(acme, keys(120));
    await until("all jobs done", () => probe.finished.length >= 120);
    expect(probe.deepest).toBe(5);
    expect(sorted(probe.started)).toEqual(sorted(keys(120)));
  });

  it("is exact while tasks come and go, and nothing runs twice", async () => {
    const { probe, pool, workers, enqueueAll } = await setUp(1);
    const acme = pool.name("acme");
    await pool.start(acme, { default: 4 });
    probe.runMs = 30;
    await enqueueAll(acme, keys(200));
    await until("work under way", () => probe.finished.length > 10);
    const second = await pool.addTask();
    await until("more work done", () => probe.finished.length > 60);
    await workers[0]?.stop();
    await pool.addTask();
    await until("still more", () => probe.finished.length > 120);
    await second.stop();
    await until("all jobs done", () => probe.finished.length >= 200);
    expect(probe.deepest).toBeLessThanOrEqual(4);
    expect(sorted(probe.started)).toEqual(sorted(keys(200)));
  });

  it("follows a reconfigure down and up: 10, 3, 0, 3", async () => {
    const { probe, pool, enqueueAll } = await setUp(2);
    const acme = pool.name("acme");
    const configure = (n: number) => pool.command(acme, { type: "reconfigure", pools: { default: { default: n } } });
    await pool.start(acme, { default: 10 });
    await enqueueAll(acme, keys(60));
    await until("ten run", () => probe.running === 10);

    await configure(3);
    const running = new Set(probe.started);
    for (const key of running) probe.release(key);
    await until("three run", () => probe.running === 3 && probe.started.length === 13);
    await until("no more than three are held", async () => totalHeld((await pool.store.partitions.get(acme)) as never) === 3);
    expect([probe.running, probe.started.length, probe.deepest]).toEqual([3, 13, 10]);

    await configure(0);
    probe.releaseAll();
    await until("nothing is held", async () => totalHeld((await pool.store.partitions.get(acme)) as never) === 0);
    expect([probe.running, probe.started.length]).toEqual([0, 13]);

    probe.deepest = 0;
    await configure(3);
    await until("three run again", () => probe.running === 3);
    probe.runMs = 10;
    probe.releaseAll();
    await until("all jobs done", () => probe.finished.length === 60);
    expect(probe.deepest).toBe(3);
    expect(probe.aborted).toEqual([]);
    expect(sorted(probe.started)).toEqual(sorted(keys(60)));
  });
});

describe("queues", () => {
  it("keep their jobs while they are off the list, and another is not disturbed", async () => {
    const { probe, pool, enqueueAll } = await setUp(2);
    const acme = pool.name("acme");
    await pool.start(acme, { default: 2, other: 2 });
    await enqueueAll(acme, keys(6, "d"));
    await enqueueAll(acme, keys(6, "o"), "other");
    await until("both run", () => probe.running === 4);
    await pool.command(acme, { type: "reconfigure", pools: { default: { default: 2 } } });
    await until("other's share shrinks to what runs", async () => ((await pool.store.partitions.get(acme))?.held["default/other"] ?? 9) <= 2);
    probe.runMs = 5;
    await until("default done, other's two done", () => {
      probe.releaseAll();
      return probe.finished.filter((key) => key.startsWith("d")).length === 6 && probe.finished.filter((key) => key.startsWith("o")).length === 2;
    });
    await until("other holds nothing", async () => (await pool.store.partitions.get(acme))?.held["default/other"] === 0);
    expect(probe.started.filter((key) => key.startsWith("o"))).toHaveLength(2);
    await pool.command(acme, { type: "reconfigure", pools: { default: { default: 2, other: 1 } } });
    await until("other's jobs are back", () => probe.finished.length === 12);
    expect(sorted(probe.started)).toEqual(sorted([...keys(6, "d"), ...keys(6, "o")]));
  });

  it("lose nothing when paused and resumed while idle", async () => {
    const { probe, pool, enqueueAll } = await setUp(2);
    const acme = pool.name("acme");
    await pool.start(acme, { default: 10 });
    await until("the queue is held", async () => (await pool.store.partitions.get(acme))?.held["default/default"] === 10);
    await pool.command(acme, { type: "pause", queue: "default" });
    await until("the pause has arrived", async () => (await pool.store.partitions.get(acme))?.held["default/default"] === 0);
    await pool.command(acme, { type: "resume", queue: "default" });
    probe.runMs = 1;
    await enqueueAll(acme, keys(100));
    await until("all jobs done", () => probe.finished.length === 100);
    expect(sorted(probe.started)).toEqual(sorted(keys(100)));
  });

  it("start nothing while paused, also in a task that comes later", async () => {
    const { probe, pool, enqueueAll } = await setUp(1);
    const acme = pool.name("acme");
    await pool.start(acme, { default: 3, other: 1 });
    await pool.command(acme, { type: "pause", queue: "default" });
    await enqueueAll(acme, keys(5));
    await pool.addTask();
    probe.runMs = 1;
    await enqueueAll(acme, ["witness"], "other");
    await until("another queue works", () => probe.finished.includes("witness"));
    await until("the outbox is empty", async () => (await pool.store.parked.list(acme, { limit: 10 })).jobs.length === 0);
    expect(probe.started).toEqual(["witness"]);
    await pool.command(acme, { type: "resume", queue: "default" });
    await until("all jobs done", () => probe.finished.length === 6);
  });

  it("of partitions `a` and `a-b` never meet", async () => {
    const { probe, pool, enqueueAll } = await setUp(1);
    const a = pool.name("a");
    const ab = `${a}-b`;
    await pool.start(a, { default: 1 });
    await enqueueAll(a, ["a"]);
    await until("a's job runs", () => probe.started.includes("a"));
    await pool.start(ab, { default: 1 });
    await enqueueAll(ab, ["ab"]);
    await until("both run, each in its own", () => probe.running === 2);
    await pool.command(a, { type: "stop" });
    await until("only a's is aborted", () => probe.aborted.length === 1);
    expect(probe.aborted).toEqual(["a"]);
    probe.releaseAll();
    await until("ab is done", () => probe.finished.includes("ab"));
    expect(probe.finished).toEqual(["ab"]);
  });
});

describe("stopping a partition", () => {
  it("safely lets running jobs end, is then stopped by itself, and start runs what is left", async () => {
    const { probe, pool, enqueueAll } = await setUp(2);
    const acme = pool.name("acme");
    await pool.start(acme, { default: 2 });
    await enqueueAll(acme, keys(5));
    await until("two run", () => probe.running === 2);
    expect((await pool.command(acme, { type: "safe_stop" })).status).toBe("draining");
    await until("shares shrink", async () => totalHeld((await pool.store.partitions.get(acme)) as never) === 2);
    probe.release(probe.started[0] as string);
    await until("one still runs", async () => totalHeld((await pool.store.partitions.get(acme)) as never) === 1);
    expect((await pool.store.partitions.get(acme))?.status).toBe("draining");
    probe.release(probe.started[1] as string);
    await until("it is stopped", async () => (await pool.store.partitions.get(acme))?.status === "stopped");
    expect(probe.started).toHaveLength(2);
    expect(probe.aborted).toEqual([]);
    probe.runMs = 1;
    await pool.start(acme, { default: 2 });
    await until("all jobs done", () => probe.finished.length === 5);
    expect(sorted(probe.started)).toEqual(sorted(keys(5)));
  });

  it("aborts what runs, keeps it, and start runs it again with no attempt charged", async () => {
    const { probe, pool, enqueueAll } = await setUp(2);
    const acme = pool.name("acme");
    await pool.start(acme, { default: 3 });
    await enqueueAll(acme, keys(4));
    await until("three run", () => probe.running === 3);
    await pool.command(acme, { type: "stop" });
    await until(
      "all aborted and given back",
      async () => probe.aborted.length === 3 && totalHeld((await pool.store.partitions.get(acme)) as never) === 0,
    );
    expect(probe.finished).toEqual([]);
    probe.runMs = 1;
    await pool.start(acme, { default: 3 });
    await until("all jobs done", () => probe.finished.length === 4);
    expect(sorted(probe.finished)).toEqual(sorted(keys(4)));
    expect((await pool.store.buried.list(acme, { limit: 10 })).jobs).toEqual([]);
  });
});

describe("slots", () => {
  it("bound a task whatever its shares, and go round the tenants", async () => {
    const { probe, pool, enqueueAll } = await setUp(1, 2);
    const big = pool.name("big");
    const small = pool.name("small");
    await pool.start(big, { default: 10 });
    await pool.start(small, { default: 10 });
    await enqueueAll(big, keys(20, "b"));
    await until("the slots are full", () => probe.running === 2);
    await enqueueAll(small, ["s"]);
    await until("the small tenant's job is at hand", async () => {
      const published = (await pool.store.parked.list(small, { limit: 1 })).jobs.length === 0;
      return published && (await pool.broker.admin.depth(`${small}-default`)) === 0;
    });
    probe.runMs = 20;
    probe.releaseAll();
    await until("all jobs done", () => probe.finished.length === 21);
    expect(probe.deepest).toBe(2);
    expect(probe.started.indexOf("s")).toBeLessThan(10);
  });
});
