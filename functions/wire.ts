import type { PartitionView, QueueView, TasksView, TaskView } from "../client/views.ts";
import { splitQueueKey } from "../core/contract/names.ts";
import { heldOf, isOpen, type Partition, type PoolQueue, poolQueues } from "../core/partition/partition.ts";
import type { ClusterVersion } from "../core/partition/partition-store.ts";
import type { TaskLease, TaskReport } from "../core/partition/task-store.ts";
import { time, timeOrNull } from "./iso-time.ts";
import { runningView } from "./job-views.ts";
import { hasApplied, isWatched, type QueueCounts, queueCounts, reportsOf, type TaskOverview } from "./live-tasks.ts";

/** How partitions and tasks look on the wire. */

export function partitionView(partition: Partition, overview: TaskOverview, cluster: ClusterVersion): PartitionView {
  const counts = queueCounts(overview);
  const queues = [...poolQueues(partition), ...leftovers(partition)];
  const reports = [...new Set(queues.map(({ pool }) => pool))].flatMap((pool) => reportsOf(overview, pool));
  return {
    id: partition.id,
    status: partition.status,
    revision: partition.revision,
    queues: queues.map((queue) => {
      const idle = isWatched(overview, partition.id, queue.pool, cluster) ? 0 : null;
      return queueView(partition, queue, counts(partition.id, queue.key), idle);
    }),
    applied: reports.map((report) => ({ task: report.boot, revision: hasApplied(report, partition.id, cluster) ? partition.revision : null })),
    as_of: reports.length === 0 ? null : time(Math.min(...reports.map(({ at }) => at))),
  };
}

/** Queues that are no longer listed and still held: their last jobs run. */
function leftovers(partition: Partition): PoolQueue[] {
  const listed = new Set(poolQueues(partition).map(({ key }) => key));
  return (Object.keys(partition.held) as (keyof Partition["held"])[])
    .filter((key) => !listed.has(key) && heldOf(partition, key) > 0)
    .map((key) => ({ key, ...splitQueueKey(key), maxWorkers: 0 }));
}

function queueView(partition: Partition, { key, pool, queue, maxWorkers }: PoolQueue, counts: QueueCounts, otherwiseReady: 0 | null): QueueView {
  const held = heldOf(partition, key);
  return {
    pool,
    queue,
    max_workers: maxWorkers,
    paused: partition.paused.includes(queue),
    held,
    // A queue that starts no job is given up run by run, so what is held of it is what runs.
    running: isOpen(partition, queue) && maxWorkers > 0 ? counts.running : held,
    ready: counts.ready ?? (counts.uncounted ? null : otherwiseReady),
    shares: partition.shares[key] ?? {},
  };
}

export function tasksView(overview: TaskOverview): TasksView {
  const live = overview.live.map(({ lease }) => lease);
  const byPool = Map.groupBy(live, ({ pool }) => pool);
  return {
    pools: [...byPool].map(([pool, leases]) => ({
      pool,
      tasks: leases.length,
      slots: leases.reduce((sum, { slots }) => sum + slots, 0),
      free: leases.reduce((sum, { free }) => sum + free, 0),
    })),
    tasks: overview.leases.map((lease) => taskView(lease, overview.reports.get(lease.boot))),
  };
}

function taskView(lease: TaskLease, report: TaskReport | undefined): TaskView {
  return {
    task: lease.boot,
    pool: lease.pool,
    state: lease.dead ? "dead" : lease.draining ? "draining" : "live",
    slots: lease.slots,
    free: lease.free,
    arn: report?.arn ?? null,
    started_at: timeOrNull(report?.startedAt),
    memory_bytes: report?.memoryBytes ?? null,
    reported_at: timeOrNull(report?.at),
    shares: (report?.queues ?? []).map(({ key, ...queue }) => ({
      partition: queue.partition,
      ...splitQueueKey(key),
      share: queue.share,
      running: queue.running,
      ready: queue.ready ?? null,
    })),
    running: (report?.running ?? []).map((job) => ({ ...runningView(job, lease.boot), partition: job.partition })),
    running_left_out: report?.runningLeftOut ?? 0,
  };
}
