import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { checkTimings, DEFAULT_TIMINGS, LIMITS, MOST_DRAIN_MS, STOP_PARTS_MS, STOP_TIMEOUT_MS } from "../../core/contract/limits.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { encodeEnvelope } from "../../core/job/envelope.ts";
import { parkedJob } from "../../core/job/parked.ts";
import { registryOf } from "../../core/job/registry.ts";
import { applyCommand } from "../../core/partition/commands.ts";
import { heldOf, type Partition, shardOf, shareOf } from "../../core/partition/partition.ts";
import type { PartitionStore } from "../../core/partition/partition-store.ts";
import type { TaskLease, TaskStore } from "../../core/partition/task-store.ts";
import { inlineThreads } from "../../testing/inline-threads.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { Worker } from "../../worker/worker.ts";

const CLOCK = { now: () => Date.now(), monotonic: () => performance.now() };
const PARTITION = "acme";
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** One row, and what a task that works alone asks of it. */
function partitionsOf(first: Partition): PartitionStore {
  let row = first;
  const partitions: Partial<PartitionStore> = {
    get: async () => row,
    readVersion: async () => ({ version: 1, shards: Array.from({ length: LIMITS.partitionShards }, () => 1) }),
    readShard: async (shard) => (shard === shardOf(PARTITION) ? [row] : []),
    async moveShare({ key, from, to, task, maxWorkers }) {
      const held = heldOf(row, key) + to - from;
      if (shareOf(row, key, task) !== from || (to > from && held > maxWorkers)) return { moved: false, partition: row };
      row = { ...row, held: { ...row.held, [key]: held }, shares: { ...row.shares, [key]: to === 0 ? {} : { [task]: to } } };
      return { moved: true, partition: row };
    },
    announce: async () => undefined,
  };
  return partitions as PartitionStore;
}

function tasksInMemory(told: string[]): TaskStore {
  const leases = new Map<string, TaskLease>();
  const tasks: Partial<TaskStore> = {
    register: async (lease) => void leases.set(lease.boot, lease),
    renew: async (boot, state) => {
      leases.set(boot, { ...(leases.get(boot) as TaskLease), ...state });
      return true;
    },
    leases: async () => [...leases.values()],
    report: async () => undefined,
    forget: async () => void told.push("forgotten"),
    declareDead: async () => {
      told.push("dead");
      return true;
    },
  };
  return tasks as TaskStore;
}

/** Nothing that is called answers any more, once `is` says so. */
function silenced<T extends object>(port: T, is: (call: string | symbol) => boolean): T {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value === "object" && value !== null) return silenced(value, is);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (is(name) && name !== "onConnection") return new Promise(() => undefined);
        const answer: unknown = value.apply(target, args);
        // What it hands out (channels, subscriptions) falls silent with it.
        return typeof answer === "object" && answer !== null && !(answer instanceof Promise) ? silenced(answer, is) : answer;
      };
    },
  });
}

/** A task that runs one job for ever, which may heed its abort. */
async function setUp(job: { readonly heeds: boolean; readonly onDone?: () => Promise<void> }) {
  const events: WorkerEvent[] = [];
  const told: string[] = [];
  const away = { table: false, broker: false, publishes: false };
  const memory = { ...memoryStore({ clock: CLOCK }) };
  const row = applyCommand(PARTITION, undefined, { type: "start", pools: { default: { default: 1 } } });
  const store = silenced({ ...memory, partitions: partitionsOf(row), tasks: tasksInMemory(told) }, () => away.table);
  const started = Promise.withResolvers<void>();
  const endless = defineJob({
    name: "endless",
    args: z.null(),
    async perform(_, ctx) {
      started.resolve();
      await new Promise<void>((_, reject) => {
        if (job.heeds) ctx.signal.addEventListener("abort", () => reject(ctx.signal.reason as Error));
      });
    },
  });
  const registry = registryOf({ endless });
  const memoryBroker = new MemoryBroker(new MemoryRabbit());
  await memoryBroker.start();
  const broker = silenced(memoryBroker as object, (call) => away.broker || (away.publishes && call === "publish")) as MemoryBroker;
  const worker = new Worker({
    ...{ boot: "me", pool: "default", slots: 2, registry, hooks: [], threads: inlineThreads(registry), store, broker },
    watchdog: { start: async () => undefined, stop: async () => undefined, renewed: () => undefined },
    ...{ clock: CLOCK, timings: DEFAULT_TIMINGS, healthPort: 0, ecs: { arn: undefined, agentUri: undefined } },
    emit: (event) => void events.push(event),
    makeLog: () => silent,
    onDead: () => undefined,
  });
  const run = async (until: Promise<unknown>): Promise<void> => {
    let over = false;
    void until.then(() => {
      over = true;
    });
    while (!over) {
      await vi.advanceTimersByTimeAsync(50);
      await new Promise((resolve) => setImmediate(resolve)); // the health server's sockets are real
    }
  };
  await run(worker.start());
  const envelope = { v: 1, id: "job", name: "endless", args: null, partition: PARTITION, queue: "default", attempt: 1, enqueued_at: 1 } as const;
  await memoryBroker.admin.ensure("acme-default");
  await memoryBroker.publisher.publish({ brokerQueue: "acme-default", partition: PARTITION, id: "job", body: encodeEnvelope(envelope) });
  await run(started.promise);
  /** @returns how long it took */
  const stop = async (): Promise<number> => {
    const begun = performance.now();
    await run(worker.stop());
    return performance.now() - begun;
  };
  /** A parked job falls due, and a pump has it. */
  const pumped = async (): Promise<void> => {
    const now = CLOCK.now();
    const parked = { ...envelope, id: "parked" };
    await memory.parked.park(parkedJob(parked, { reason: "outbox", due: now, since: now }));
    for (let looks = 0; !(await memory.parked.get(parked))?.claimed; looks++) {
      expect(looks).toBeLessThan(200);
      await run(Promise.resolve());
    }
  };
  const late = () => events.flatMap((event) => (event.type === "stop_late" ? [event.step] : []));
  return { stop, pumped, late, events, told, away };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("a stop", () => {
  it("takes as long as its jobs, and leaves nothing to eviction when all answer", async () => {
    const { stop, late, told } = await setUp({ heeds: true });
    const ms = await stop();
    expect(ms).toBeGreaterThanOrEqual(DEFAULT_TIMINGS.drain);
    expect(ms).toBeLessThan(DEFAULT_TIMINGS.drain + 2_000);
    expect({ late: late(), told }).toEqual({ late: [], told: ["forgotten"] });
  });

  it("leaves a job that does not settle to eviction, and says so", async () => {
    const { stop, late, told } = await setUp({ heeds: false });
    expect(await stop()).toBeLessThan(STOP_TIMEOUT_MS);
    expect({ late: late(), told }).toEqual({ late: ["its running jobs"], told: ["dead"] });
  });

  it.each([
    { of: "table", silent: { table: true, broker: false }, late: ["its shares", "its services", "its lease"], told: [] },
    {
      of: "broker",
      silent: { table: false, broker: true },
      late: ["its shares", "its channels", "its publishes", "its services", "its connections"],
      told: ["dead"],
    },
    {
      of: "table nor broker",
      silent: { table: true, broker: true },
      late: ["its shares", "its channels", "its publishes", "its services", "its connections", "its lease"],
      told: [],
    },
  ])("ends before ECS kills it when no $of answers any more", async ({ silent: whole, late: expected, told: ending }) => {
    const { stop, late, told, away } = await setUp({ heeds: true });
    Object.assign(away, whole);
    const ms = await stop();
    expect(ms).toBeLessThanOrEqual(STOP_TIMEOUT_MS - STOP_PARTS_MS.exit);
    expect({ late: late(), told }).toEqual({ late: expected, told: ending });
  });

  it("leaves to its peers what a pump has in hands that gets no answer", async () => {
    const { stop, pumped, late, told, away } = await setUp({ heeds: true });
    Object.assign(away, { publishes: true });
    await pumped();
    await stop();
    expect({ late: late(), told }).toEqual({ late: ["its publishes"], told: ["dead"] });
  });

  it("that nothing answers ends in time, with a job that does not settle", async () => {
    const { stop, events, away } = await setUp({ heeds: false });
    Object.assign(away, { table: true, broker: true });
    expect(await stop()).toBeLessThanOrEqual(STOP_TIMEOUT_MS - STOP_PARTS_MS.exit);
    expect(events.at(-1)).toEqual({ type: "drained" });
  });
});

describe("the parts of a stop", () => {
  it("fit into what ECS gives it, and a longer drain is refused", () => {
    expect(checkTimings({ ...DEFAULT_TIMINGS, drain: MOST_DRAIN_MS })).toMatchObject({ drain: 90_000 });
    expect(() => checkTimings({ ...DEFAULT_TIMINGS, drain: MOST_DRAIN_MS + 1 })).toThrow("stop timeout");
  });
});
