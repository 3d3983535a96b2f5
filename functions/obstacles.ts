import type { ReasonView } from "../client/views.ts";
import { listedQueues, type Partition, type PoolQueue, poolQueues } from "../core/partition/partition.ts";
import { type LiveTask, queueCounts, type TaskOverview } from "./live-tasks.ts";

/**
 * What keeps jobs of a partition's queue from starting, as its row and the tasks' reports have it; of all its queues when
 * the queue is not known. Nothing: a task takes the next one now.
 */
export function obstacles(partition: Partition, queue: string | undefined, overview: TaskOverview): ReasonView[] {
  const { id, status } = partition;
  const stopped: ReasonView[] =
    status === "running" ? [] : [{ code: "partition_not_running", detail: `partition ${id} is ${status}: no job of it starts` }];
  const queues = queue === undefined ? listedQueues(partition) : [queue];
  const found = queues.flatMap((name) => [...closed(partition, name), ...(status === "running" ? unserved(partition, name, overview) : [])]);
  // What is said of a pool is the same for each of its queues.
  return [...stopped, ...new Map(found.map((reason) => [reason.detail, reason])).values()];
}

/** By the partition's row. */
function closed(partition: Partition, queue: string): ReasonView[] {
  const lists = listsOf(partition, queue);
  if (lists.length === 0) {
    const listed = listedQueues(partition).join(", ") || "none";
    return [{ code: "queue_not_listed", queue, detail: `partition ${partition.id} does not list queue "${queue}"; it lists ${listed}` }];
  }
  const reasons: ReasonView[] = [];
  if (partition.paused.includes(queue)) reasons.push({ code: "queue_paused", queue, detail: `queue "${queue}" is paused` });
  if (maxWorkers(lists) === 0) reasons.push({ code: "max_workers_zero", queue, detail: `queue "${queue}" has max_workers 0` });
  return reasons;
}

/** By what tasks tell. A pool that could serve the queue is enough. */
function unserved(partition: Partition, queue: string, overview: TaskOverview): ReasonView[] {
  const lists = listsOf(partition, queue).filter((list) => list.maxWorkers > 0);
  if (lists.length === 0 || partition.paused.includes(queue)) return [];
  const pools = lists.map(({ pool }) => pool);
  const tasks = overview.live.filter(({ lease }) => pools.includes(lease.pool) && !lease.draining);
  const inPools = `pool ${pools.join(", ")}`;
  if (tasks.length === 0)
    return [{ code: "no_task", queue, pool: pools.join(", "), detail: `no task of ${inPools} is alive to run queue "${queue}"` }];
  return [...away(tasks, inPools), ...full(partition, queue, lists, tasks, overview)];
}

function away(tasks: readonly LiveTask[], inPools: string): ReasonView[] {
  const cut = tasks.filter(({ lease }) => !lease.connected).length;
  return cut === 0 ? [] : [{ code: "broker_away", detail: `${cut} of ${tasks.length} tasks of ${inPools} can't reach RabbitMQ` }];
}

function full(partition: Partition, queue: string, lists: readonly PoolQueue[], tasks: readonly LiveTask[], overview: TaskOverview): ReasonView[] {
  const counts = queueCounts(overview);
  const running = lists.reduce((sum, { key }) => sum + counts(partition.id, key).running, 0);
  const most = maxWorkers(lists);
  if (running >= most) return [{ code: "waiting_for_slot", queue, detail: `waiting for a slot: ${running} of ${most} running in queue "${queue}"` }];
  const those = tasks.length === 1 ? "one task" : `${tasks.length} tasks`;
  const slots = tasks.reduce((sum, { lease }) => sum + lease.slots, 0);
  if (tasks.some(({ lease }) => lease.free > 0)) return [];
  return [
    {
      code: "waiting_for_slot",
      queue,
      detail: `waiting for a slot: all ${slots} slots of the ${those} that could run queue "${queue}" are taken`,
    },
  ];
}

function listsOf(partition: Partition, queue: string): PoolQueue[] {
  return poolQueues(partition).filter((list) => list.queue === queue);
}

function maxWorkers(lists: readonly PoolQueue[]): number {
  return lists.reduce((sum, list) => sum + list.maxWorkers, 0);
}
