/**
 * What a task with many idle tenants does over and over: it counts messages, asks which of the counts are its own, and
 * weighs every share anew when tasks come and go. Each against the plain way of doing it, in node CPU; the measure is the ratio.
 *
 *   node bench/idle-cost.ts [partitions = 5000] [tasks = 20] [queues counted = 500]
 */
import { withChannel } from "../broker/channel.ts";
import { SupervisedConnection } from "../broker/connection.ts";
import { AmqpQueueAdmin } from "../broker/queue-admin.ts";
import { brokerSettings } from "../broker/settings.ts";
import { Topology } from "../broker/topology.ts";
import { systemClock } from "../core/contract/clock.ts";
import { rendezvousOwner } from "../core/contract/hash.ts";
import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import { queueKey } from "../core/contract/names.ts";
import { forEachWithin } from "../core/contract/window.ts";
import { applyCommand } from "../core/partition/commands.ts";
import { type Partition, shareOf } from "../core/partition/partition.ts";
import { targetShares } from "../core/partition/shares.ts";
import type { TaskLease, TaskStore } from "../core/partition/task-store.ts";
import { startRabbit } from "../local/rabbitmq/start.ts";
import { Placement } from "../worker/placement.ts";
import { Roster } from "../worker/roster.ts";

const partitions = Number(process.argv[2] ?? 5_000);
const taskCount = Number(process.argv[3] ?? 20);
const counted = Number(process.argv[4] ?? 500);
const ROUNDS = 5;

async function cpuMs(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;

/** Interleaved, the first round left out: it warms up. */
async function compare(what: string, plain: () => unknown, ours: () => unknown): Promise<void> {
  const times = { plain: [] as number[], ours: [] as number[] };
  for (let round = 0; round <= ROUNDS; round++) {
    const [a, b] = [await cpuMs(plain), await cpuMs(ours)];
    if (round > 0) times.plain.push(a);
    if (round > 0) times.ours.push(b);
  }
  const [a, b] = [median(times.plain), median(times.ours)];
  console.log(`${what}: plainly ${a.toFixed(1)} ms, now ${b.toFixed(1)} ms of node CPU, ratio ${(b / a).toFixed(2)}`);
}

const leases: TaskLease[] = Array.from({ length: taskCount }, (_, i) => ({
  boot: `0192f3ab-${i}`,
  pool: "default",
  slots: 50,
  beat: 1,
  draining: false,
  free: 50,
  full: false,
  connected: true,
  dead: false,
}));
const boots = leases.map(({ boot }) => boot);
const [boot] = boots as [string];
const roster = new Roster({
  boot,
  tasks: { leases: async () => leases } as unknown as TaskStore,
  clock: systemClock,
  timings: DEFAULT_TIMINGS,
  emit: () => undefined,
  onChange: () => undefined,
});
await roster.refresh();

const sharesOf = (partition: Partition, queue: string) => targetShares({ partition, pool: "default", queue, tasks: leases });
/** At rest: every task holds its target. */
const rows = Array.from({ length: partitions }, (_, i): Partition => {
  const row = applyCommand(`tenant-${i}`, undefined, { type: "start", pools: { default: { default: 8, other: 2 } } });
  const shares = { "default/default": Object.fromEntries(sharesOf(row, "default")), "default/other": Object.fromEntries(sharesOf(row, "other")) };
  return { ...row, held: { "default/default": 8, "default/other": 2 }, shares };
});
const queues = rows.flatMap((row) => ["default", "other"].map((queue) => ({ row, queue, duty: `count/${row.id}-${queue}` })));

await compare(
  `whose count of ${queues.length} queues, ${taskCount} tasks`,
  () => queues.filter(({ duty }) => rendezvousOwner(duty, boots) === boot).length,
  () => queues.filter(({ duty }) => roster.owns(duty, { pool: "default", connected: true })).length,
);

const placement = new Placement({ boot, pool: "default", roster, isFull: () => false, isDraining: () => false });
await compare(
  `the shares of ${queues.length} queues, ${taskCount} tasks, looked at again`,
  () => queues.map(({ row, queue }) => sharesOf(row, queue).get(boot) ?? 0),
  () => queues.map(({ row, queue }) => placement.wanted(row, queue, shareOf(row, queueKey("default", queue), boot))),
);

const rabbit = await startRabbit({ onProgress: (line) => console.log(line) });
const settings = brokerSettings({ url: rabbit.url, name: "bench" });
const connection = new SupervisedConnection("bench", settings);
await connection.start();
const admin = new AmqpQueueAdmin(connection, new Topology(connection, settings), settings);
const names = Array.from({ length: counted }, (_, i) => `tenant-${i}-default`);
await forEachWithin(8, names, (name) => admin.ensure(name));
const wall = { plain: 0, ours: 0 };
const timed = async (which: keyof typeof wall, work: () => Promise<void>): Promise<void> => {
  const begin = systemClock.monotonic();
  await work();
  wall[which] = systemClock.monotonic() - begin;
};
await compare(
  `the messages of ${counted} queues`,
  () =>
    timed("plain", () =>
      forEachWithin(8, names, (name) =>
        withChannel(connection, settings.rpcDeadlineMs, "count", async (channel) => void (await channel.checkQueue(name)).messageCount),
      ),
    ),
  () => timed("ours", () => forEachWithin(8, names, async (name) => void (await admin.depth(name)))),
);
console.log(
  `… in the last round ${wall.plain.toFixed(0)} ms and ${wall.ours.toFixed(0)} ms by the clock, ratio ${(wall.ours / wall.plain).toFixed(2)}`,
);
await connection.stop();
await rabbit.stop();
