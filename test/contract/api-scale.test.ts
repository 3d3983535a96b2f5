import { beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "../../core/contract/clock.ts";
import { shardOf } from "../../core/partition/partition.ts";
import type { PartitionStore } from "../../core/partition/partition-store.ts";
import type { TaskReport } from "../../core/partition/task-store.ts";
import type { Services } from "../../functions/ecs.ts";
import type { PassFacts } from "../../functions/metrics.ts";
import { openScaler, type ScalerOptions } from "../../functions/scaler.ts";
import { apiWorld, freshPartition, lease, report } from "../api-world.ts";

const world = apiWorld();

/** ECS, as far as the scaler sees it. */
class ServicesInMemory implements Services {
  readonly counts = new Map<string, number>();
  readonly calls: (readonly [string, number])[] = [];
  desired = async (names: readonly string[]) =>
    new Map(names.flatMap((name) => (this.counts.has(name) ? [[name, this.counts.get(name) ?? 0] as const] : [])));
  setDesired = async (name: string, count: number) => {
    this.calls.push([name, count]);
    this.counts.set(name, count);
  };
}

let pool: string;
let services: ServicesInMemory;

beforeEach(() => {
  // A pool of its own for each test: the others' partitions mean nothing to it.
  pool = `p${freshPartition()
    .slice(2)
    .replace(/[^a-z0-9]/g, "")}`;
  services = new ServicesInMemory();
  services.counts.set("svc", 0);
});

function scaler(change: Partial<ScalerOptions> = {}, max = 20) {
  return openScaler({ ...world.deps, services, bounds: [{ pool, service: "svc", slots: 10, min: 0, max }], ...change });
}

async function started(maxWorkers: number, p = freshPartition()): Promise<string> {
  const { status } = await world.call("POST", `/partitions/${p}/start`, { pools: { [pool]: { default: maxWorkers } } });
  expect(status).toBe(200);
  return p;
}

async function liveTask(change: Partial<TaskReport> = {}) {
  const task = lease({ pool });
  await world.store.tasks.register(task);
  await world.store.tasks.report(report(task, change));
  return task;
}

describe("growing", () => {
  it("makes room for what may run at once, and calls ECS only on a change", async () => {
    const p = await started(95);
    await scaler().request(p);
    expect(services.calls).toEqual([["svc", 10]]);
    await scaler().request(p);
    expect(services.calls).toHaveLength(1);
    await started(200);
    await scaler().request();
    expect(services.counts.get("svc")).toBe(20);
  });

  it("asks for no more than the backlog once it is known", async () => {
    const p = await started(95);
    const task = await liveTask({ queues: [{ partition: p, key: `${pool}/default`, share: 10, running: 10, ready: 25 }] });
    await scaler().request(p);
    expect(services.counts.get("svc")).toBe(4);
    await world.store.tasks.forget(task.boot);
  });

  it("takes an idle queue for idle, but the changed one for full", async () => {
    const [quiet, changed] = [await started(50), await started(30)];
    const task = await liveTask();
    await scaler().request(changed);
    expect(services.counts.get("svc")).toBe(3);
    await scaler().request(quiet);
    expect(services.counts.get("svc")).toBe(5);
    await world.store.tasks.forget(task.boot);
  });

  it("takes a queue for full that nobody could count, and one that nobody counted because no task has RabbitMQ", async () => {
    const [uncounted, quiet] = [await started(50), await started(30)];
    const told = { partition: uncounted, key: `${pool}/default`, share: 1, running: 0, uncounted: true } as const;
    const task = await liveTask({ queues: [told] });
    await scaler().request(freshPartition());
    expect(services.counts.get("svc")).toBe(5);
    await world.store.tasks.report(report(task, { counted: false }));
    await scaler().request(freshPartition());
    expect(services.counts.get("svc")).toBe(8);
    expect((await world.call("GET", `/partitions/${quiet}`)).body.queues[0].ready).toBeNull();
    await world.store.tasks.forget(task.boot);
  });

  it("counts a task's last words for nothing when it has been silent for long", async () => {
    const p = await started(30);
    const task = await liveTask({
      at: systemClock.now() - 120_000,
      queues: [{ partition: p, key: `${pool}/default`, share: 1, running: 1, ready: 0 }],
    });
    await scaler().request();
    expect(services.counts.get("svc")).toBe(3);
    await world.store.tasks.forget(task.boot);
  });
});

describe("shrinking", () => {
  it("takes five quiet ticks and goes by a quarter; requests never shrink", async () => {
    await started(10);
    services.counts.set("svc", 16);
    for (let i = 0; i < 10; i++) await scaler().request();
    expect(services.calls).toEqual([]);
    for (let i = 0; i < 4; i++) await scaler().tick();
    expect(services.calls).toEqual([]);
    await scaler().tick();
    await scaler().tick();
    expect(services.calls).toEqual([
      ["svc", 12],
      ["svc", 9],
    ]);
  });

  it("goes to zero when no partition runs, and starts from what people set by hand", async () => {
    const p = await started(10);
    await world.call("POST", `/partitions/${p}/stop`);
    services.counts.set("svc", 1);
    for (let i = 0; i < 5; i++) await scaler().tick();
    expect(services.counts.get("svc")).toBe(0);
  });
});

describe("passes", () => {
  it("run one at a time, and a wish that comes meanwhile is seen", async () => {
    let under = 0;
    let most = 0;
    let passes = 0;
    const partitions = {
      ...world.store.partitions,
      readVersion: async () => {
        passes += 1;
        most = Math.max(most, ++under);
        return world.store.partitions.readVersion().finally(() => {
          under -= 1;
        });
      },
    };
    const busy = scaler({ store: { ...world.store, partitions } });
    await Promise.all(Array.from({ length: 8 }, () => busy.request()));
    expect(most).toBe(1);
    expect(passes).toBeGreaterThanOrEqual(1);
    expect(passes).toBeLessThanOrEqual(8);

    // Started during a pass that has read the partitions already: that pass makes another round.
    let late: Promise<void> | undefined;
    const slow: Services = {
      setDesired: services.setDesired,
      desired: async (names) => {
        if (late === undefined) {
          const p = await started(70);
          late = scaler().request(p);
          await late;
        }
        return services.desired(names);
      },
    };
    await scaler({ services: slow }).request();
    expect(services.counts.get("svc")).toBe(7);
  });

  it("go on after one service is missing or fails", async () => {
    await started(10);
    const bounds = [
      { pool, service: "gone", slots: 10, min: 0, max: 5 },
      { pool, service: "bad", slots: 10, min: 0, max: 5 },
      { pool, service: "svc", slots: 10, min: 0, max: 5 },
    ];
    services.counts.set("bad", 0);
    const failing: Services = {
      desired: services.desired,
      setDesired: (name, count) => (name === "bad" ? Promise.reject(new Error("AccessDenied")) : services.setDesired(name, count)),
    };
    await scaler({ services: failing, bounds }).request();
    expect(services.counts.get("svc")).toBe(1);
    expect(world.log.lines.filter(({ level }) => level === "error").map(({ fields }) => fields.service)).toEqual(["gone", "bad"]);
  });

  it("never throw at the command that asked", async () => {
    const failing: Services = { desired: () => Promise.reject(new Error("ECS is away")), setDesired: services.setDesired };
    await scaler({ services: failing }).request();
    expect(world.log.lines.at(-1)).toMatchObject({ message: "scaling failed" });
    // Its turn is given back: the next pass need not wait for the claim to lapse.
    await started(10);
    await scaler().request();
    expect(services.calls).toEqual([["svc", 1]]);
  });
});

describe("telling", () => {
  it("says of each pass what it saw, and how many tasks it asked for", async () => {
    const told: PassFacts[] = [];
    const p = await started(25);
    await scaler({ onPass: (facts) => told.push(facts) }).tick();
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({ desired: 3, overdueMs: expect.any(Number) });
    expect(told[0]?.partitions.map(({ id }) => id)).toContain(p);
  });

  it("is a by-product: when it fails, tasks are scaled all the same", async () => {
    await started(25);
    const onPass = () => {
      throw new Error("no line could be written");
    };
    await scaler({ onPass }).tick();
    expect(services.counts.get("svc")).toBe(3);
    expect(world.log.lines.at(-1)).toMatchObject({ level: "error", message: "a scaling pass could not be told" });
  });
});

describe("tidying up", () => {
  it("takes the shares of dead tasks off a partition that drains, and lets it stop", async () => {
    const p = await started(10);
    const [dead, alive] = [lease({ pool }), lease({ pool })];
    for (const { boot } of [dead, alive]) {
      await world.store.tasks.register(boot === dead.boot ? dead : alive);
      const move = { partition: p, revision: 1, key: `${pool}/default`, task: boot, from: 0, to: 2, maxWorkers: 10 } as const;
      expect((await world.store.partitions.moveShare(move)).moved).toBe(true);
    }
    await world.call("POST", `/partitions/${p}/safe-stop`);
    const held = async () => (await world.store.partitions.get(p))?.shares[`${pool}/default`];
    // Just declared dead, by a clock that is not ours: its time has not come yet.
    await world.store.tasks.declareDead(dead.boot, dead.beat, systemClock.now());
    await scaler().tick();
    expect(await held()).toEqual({ [dead.boot]: 2, [alive.boot]: 2 });
    const later = { now: () => systemClock.now() + 13_000, monotonic: systemClock.monotonic };
    await scaler({ clock: later }).tick();
    expect(await held()).toEqual({ [alive.boot]: 2 });
    // A forgotten one holds nothing by rights.
    await world.store.tasks.forget(alive.boot);
    await scaler({ clock: later }).tick();
    expect(await world.store.partitions.get(p)).toMatchObject({ status: "stopped" });
    await world.store.tasks.forget(dead.boot);
  });

  it("takes off a partition that runs what a dead task asked for too late, and tells the tasks", async () => {
    const { partitions, tasks } = world.store;
    const p = await started(10);
    const [dead, gone, alive] = [lease({ pool }), lease({ pool }), lease({ pool })];
    for (const each of [dead, alive]) await tasks.register(each);
    await tasks.declareDead(dead.boot, dead.beat, systemClock.now());
    for (const { boot } of [dead, gone, alive]) {
      const raise = { partition: p, revision: 1, key: `${pool}/default`, task: boot, from: 0, to: 2, maxWorkers: 10 } as const;
      expect((await partitions.moveShare(raise)).moved).toBe(true);
    }
    const held = async () => (await partitions.get(p))?.shares[`${pool}/default`];
    const counter = async () => (await partitions.readVersion()).shards[shardOf(p)] ?? 0;
    const before = await counter();
    // Living tasks have the first word about those that have just died.
    await scaler().tick();
    expect(await held()).toEqual({ [dead.boot]: 2, [alive.boot]: 2 });
    await scaler({ clock: { now: () => systemClock.now() + 61_000, monotonic: systemClock.monotonic } }).tick();
    expect(await held()).toEqual({ [alive.boot]: 2 });
    expect((await partitions.get(p))?.held).toEqual({ [`${pool}/default`]: 2 });
    expect(await counter()).toBe(before + 2);
    for (const { boot } of [dead, alive]) await tasks.forget(boot);
  });

  it("goes on, and scales, when a share can't be taken or the tasks can't be told", async () => {
    const { store } = world;
    const gone = lease({ pool });
    const [stubborn, other] = [await started(10), await started(10)];
    for (const partition of [stubborn, other]) {
      const raise = { partition, revision: 1, key: `${pool}/default`, task: gone.boot, from: 0, to: 2, maxWorkers: 10 } as const;
      expect((await store.partitions.moveShare(raise)).moved).toBe(true);
    }
    const away = () => Promise.reject(new Error("the table is away"));
    const partitions: PartitionStore = {
      ...store.partitions,
      evictShare: (id, ...share) => (id === stubborn ? away() : store.partitions.evictShare(id, ...share)),
      announce: away,
    };
    await scaler({ store: { ...store, partitions } }).tick();
    expect(services.counts.get("svc")).toBe(2);
    const heldBy = async (id: string) => (await store.partitions.get(id))?.shares[`${pool}/default`]?.[gone.boot];
    expect([await heldBy(stubborn), await heldBy(other)]).toEqual([2, undefined]);
    const errors = world.log.lines.filter(({ level }) => level === "error");
    expect(errors.slice(-2)).toMatchObject([
      { fields: { partition: stubborn } },
      { message: "tasks could not be told of shares that are free again" },
    ]);
  });
});
