import { applyCommand } from "../../../core/partition/commands.ts";
import type { Partition } from "../../../core/partition/partition.ts";
import type { TaskLease } from "../../../core/partition/task-store.ts";
import type { Store } from "../../../store/store.ts";
import { command, start } from "./world.ts";

export const NOW = 1_900_000_000_000;
const POOLS = { default: { mail: 5 } };
const KEY = "default/mail";
const LEASE: TaskLease = {
  boot: "task-1",
  pool: "default",
  slots: 10,
  beat: 1,
  draining: false,
  free: 10,
  full: false,
  connected: true,
  dead: false,
};
const BURIED = {
  partition: "acme",
  id: "job-1",
  name: "n",
  queue: "mail",
  attempt: 1,
  reason: "failed",
  buriedAt: NOW,
  error: { name: "E", message: "m" },
  history: [],
  body: "{}",
} as const;
const REPORT = {
  boot: "task-1",
  pool: "default",
  slots: 1,
  at: NOW,
  startedAt: NOW,
  busy: 0,
  memoryBytes: 1,
  shards: [],
  queues: [],
  running: [],
  runningLeftOut: 0,
};

/** What is asked of the store, on what it is asked, what it answers, and what is then in the table: with or without a fault. */
export interface Protocol {
  readonly name: string;
  readonly writes: number;
  prepare?(store: Store): Promise<unknown>;
  act(store: Store): Promise<unknown>;
  readonly answer: unknown;
  /** By default the partition's row. */
  see?(store: Store): Promise<unknown>;
  readonly seen: unknown;
  /** No mark tells these writes from others: when no answer comes at all they say so, and may be asked again. */
  readonly unmarked?: readonly number[];
  /** Counting twice does no harm. */
  readonly atLeast?: true;
}

export const row = async (store: Store) => (await store.partitions.get("acme")) as Partition;
const move = async (store: Store, from: number, to: number) =>
  store.partitions.moveShare({ partition: "acme", revision: 1, key: KEY, task: "task-1", from, to, maxWorkers: 5 });
export const running = (store: Store) => start(store.partitions, "acme", POOLS);
const holding = async (store: Store) => {
  await running(store);
  await move(store, 0, 3);
};
const drained = async (store: Store) => {
  await holding(store);
  await command(store.partitions, "acme", { type: "safe_stop" });
  await move(store, 3, 0);
};
const deleting = async (store: Store) => {
  await running(store);
  await command(store.partitions, "acme", { type: "stop" });
  await command(store.partitions, "acme", { type: "delete" });
};

/** Every write that the store knows, and the refusals that matter. */
export const PROTOCOLS: readonly Protocol[] = [
  {
    name: "commit of a new row",
    writes: 3,
    unmarked: [0],
    act: (store) => store.partitions.commit(undefined, applyCommand("acme", undefined, { type: "start", pools: POOLS })),
    answer: { revision: 1, held: { [KEY]: 0 } },
    seen: { revision: 1, status: "running" },
  },
  {
    name: "commit of a change",
    writes: 3,
    unmarked: [0],
    prepare: holding,
    act: async (store) => store.partitions.commit(await row(store), applyCommand("acme", await row(store), { type: "pause", queue: "mail" })),
    answer: { revision: 2, paused: ["mail"], held: { [KEY]: 3 } },
    seen: { revision: 2, paused: ["mail"], shares: { [KEY]: { "task-1": 3 } } },
  },
  {
    name: "commit that forgets a queue",
    writes: 4,
    unmarked: [0, 1],
    prepare: async (store) => {
      await start(store.partitions, "acme", { default: { mail: 5, old: 1 } });
      await start(store.partitions, "acme", POOLS);
    },
    act: async (store) =>
      store.partitions.commit(await row(store), applyCommand("acme", await row(store), { type: "reconfigure", pools: { default: { mail: 6 } } })),
    answer: { revision: 3, held: { [KEY]: 0 } },
    see: async (store) => [(await row(store)).held, await store.partitions.formerQueues("acme")],
    seen: [{ [KEY]: 0 }, ["old"]],
  },
  {
    name: "announce",
    writes: 1,
    unmarked: [0],
    atLeast: true,
    act: async (store) => {
      await store.partitions.announce([1, 2]);
      return (await store.partitions.readVersion()).version;
    },
    answer: 1,
    see: async () => 1,
    seen: 1,
  },
  {
    name: "commit that is refused",
    writes: 2,
    unmarked: [0, 1],
    prepare: holding,
    act: async (store) => {
      const before = await row(store);
      return store.partitions.commit({ ...before, revision: 7 }, { ...before, revision: 8, paused: ["mail"] });
    },
    answer: undefined,
    seen: { revision: 1, paused: [] },
  },
  {
    name: "a raise",
    writes: 1,
    prepare: holding,
    act: (store) => move(store, 3, 5),
    answer: { moved: true, partition: { held: { [KEY]: 5 } } },
    seen: { held: { [KEY]: 5 } },
  },
  { name: "a first raise", writes: 1, prepare: running, act: (store) => move(store, 0, 2), answer: { moved: true }, seen: { held: { [KEY]: 2 } } },
  {
    name: "a raise that is refused",
    writes: 1,
    unmarked: [0],
    prepare: holding,
    act: (store) => move(store, 3, 6),
    answer: { moved: false },
    seen: { held: { [KEY]: 3 } },
  },
  {
    name: "a lowering",
    writes: 1,
    prepare: holding,
    act: (store) => move(store, 3, 1),
    answer: { moved: true },
    seen: { held: { [KEY]: 1 }, shares: { [KEY]: { "task-1": 1 } } },
  },
  {
    name: "a lowering to nothing",
    writes: 1,
    prepare: holding,
    act: (store) => move(store, 3, 0),
    answer: { moved: true },
    seen: { held: { [KEY]: 0 }, shares: { [KEY]: {} } },
  },
  {
    name: "an eviction",
    writes: 1,
    prepare: holding,
    act: (store) => store.partitions.evictShare("acme", KEY, "task-1", 3),
    answer: true,
    seen: { held: { [KEY]: 0 }, shares: { [KEY]: {} } },
  },
  {
    name: "settleDrained",
    writes: 2,
    prepare: drained,
    act: async (store) => store.partitions.settleDrained(await row(store)),
    answer: true,
    seen: { status: "stopped" },
  },
  {
    name: "the burial of a partition",
    writes: 2,
    prepare: deleting,
    act: async (store) => store.partitions.bury(await row(store), NOW),
    answer: true,
    seen: { status: "deleted", revision: 3, held: {} },
  },
  {
    name: "register",
    writes: 1,
    unmarked: [0],
    act: (store) => store.tasks.register(LEASE),
    answer: undefined,
    see: (store) => store.tasks.leases(),
    seen: [LEASE],
  },
  {
    name: "renew",
    writes: 1,
    prepare: (store) => store.tasks.register(LEASE),
    act: (store) => store.tasks.renew("task-1", { beat: 2, free: 1, full: true, connected: true, draining: false }),
    answer: true,
    see: (store) => store.tasks.leases(),
    seen: [{ beat: 2, free: 1, full: true, dead: false }],
  },
  {
    name: "declareDead",
    writes: 1,
    unmarked: [0],
    prepare: (store) => store.tasks.register(LEASE),
    act: (store) => store.tasks.declareDead("task-1", 1, NOW),
    answer: true,
    see: (store) => store.tasks.leases(),
    seen: [{ beat: 1, dead: true, deadAt: NOW }],
  },
  {
    name: "forget",
    writes: 2,
    prepare: async (store) => {
      await store.tasks.register(LEASE);
      await store.tasks.report(REPORT);
    },
    act: (store) => store.tasks.forget("task-1"),
    answer: undefined,
    see: async (store) => [...(await store.tasks.leases()), ...(await store.tasks.reports())],
    seen: [],
  },
  {
    name: "report",
    writes: 1,
    unmarked: [0],
    act: (store) => store.tasks.report(REPORT),
    answer: undefined,
    see: (store) => store.tasks.reports(),
    seen: [REPORT],
  },
  {
    name: "bury",
    writes: 1,
    act: (store) => store.buried.bury(BURIED),
    answer: undefined,
    see: (store) => store.buried.get("acme", "job-1"),
    seen: BURIED,
  },
  {
    name: "removal of a buried job",
    writes: 1,
    prepare: (store) => store.buried.bury(BURIED),
    act: async (store) => store.buried.remove("acme", "job-1", (await store.buried.get("acme", "job-1"))?.rev ?? ""),
    answer: true,
    see: (store) => store.buried.get("acme", "job-1"),
    seen: undefined,
  },
  { name: "wish", writes: 1, unmarked: [0], atLeast: true, act: (store) => store.scale.wish(), answer: 1, see: async () => 1, seen: 1 },
  {
    name: "begin",
    writes: 1,
    prepare: (store) => store.scale.wish(),
    act: (store) => store.scale.begin("a", NOW, NOW + 1_000),
    answer: { pools: {}, wish: 1 },
    see: (store) => store.scale.begin("b", NOW, NOW + 1_000),
    seen: undefined,
  },
  {
    name: "finish",
    writes: 1,
    prepare: (store) => store.scale.begin("a", NOW, NOW + 1_000),
    act: (store) => store.scale.finish("a", 0, { default: { desired: 2, quietPasses: 0 } }),
    answer: true,
    see: (store) => store.scale.begin("b", NOW, NOW + 1_000),
    seen: { pools: { default: { desired: 2, quietPasses: 0 } }, wish: 0 },
  },
];
