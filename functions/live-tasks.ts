import { REPORT_FRESH_MS } from "../core/contract/limits.ts";
import { type QueueKey, splitQueueKey } from "../core/contract/names.ts";
import { shardOf } from "../core/partition/partition.ts";
import type { ClusterVersion } from "../core/partition/partition-store.ts";
import type { QueueReport, TaskLease, TaskReport, TaskStore } from "../core/partition/task-store.ts";

export interface LiveTask {
  readonly lease: TaskLease;
  /** Absent until the task has told of itself for the first time. */
  readonly report: TaskReport | undefined;
}

/** All tasks and what they told: two reads, from which every view and the scaling pass is made. */
export interface TaskOverview {
  /** Dead ones included. */
  readonly leases: readonly TaskLease[];
  readonly reports: ReadonlyMap<string, TaskReport>;
  /** Not dead, and heard of lately. */
  readonly live: readonly LiveTask[];
}

export async function readTasks(tasks: TaskStore, now: number): Promise<TaskOverview> {
  const [leases, reports] = await Promise.all([tasks.leases(), tasks.reports()]);
  const byBoot = new Map(reports.map((report) => [report.boot, report]));
  const live = leases
    .filter(({ dead }) => !dead)
    .map((lease) => ({ lease, report: byBoot.get(lease.boot) }))
    .filter(({ report }) => report === undefined || now - report.at <= REPORT_FRESH_MS);
  return { leases, reports: byBoot, live };
}

/** One queue's entry in one report. */
interface Heard {
  readonly at: number;
  readonly queue: QueueReport;
}

/** Running and ready jobs of a queue as live tasks told; `ready` is absent when none of them counted it. */
export interface QueueCounts {
  readonly running: number;
  readonly ready?: number;
  /** Absent because nobody could count it: it is not idle but unknown. */
  readonly uncounted?: true;
}

/** What live tasks told of every queue, looked up by partition and queue. Reports leave idle queues out. */
export function queueCounts(overview: TaskOverview): (partition: string, key: QueueKey) => QueueCounts {
  const reports = liveReports(overview);
  const all = reports.flatMap(({ at, queues }) => queues.map((queue) => ({ at, queue })));
  const byQueue = Map.groupBy(all, ({ queue }) => `${queue.partition} ${queue.key}`);
  const blindPools = new Set(reports.filter(({ counted = true }) => !counted).map(({ pool }) => pool));
  return (partition, key) => countsOf(byQueue.get(`${partition} ${key}`) ?? [], blindPools.has(splitQueueKey(key).pool));
}

function countsOf(heard: readonly Heard[], blind: boolean): QueueCounts {
  const running = heard.reduce((sum, { queue }) => sum + queue.running, 0);
  // The newest count: which task counts a queue may change.
  const newest = heard.filter(({ queue }) => queue.ready !== undefined || queue.uncounted).toSorted((a, b) => b.at - a.at)[0]?.queue;
  if (newest?.ready !== undefined) return { running, ready: newest.ready };
  return newest?.uncounted || blind ? { running, uncounted: true } : { running };
}

/** Live tasks of a pool that have told of themselves. */
export function reportsOf(overview: TaskOverview, pool: string): TaskReport[] {
  return liveReports(overview).filter((report) => report.pool === pool);
}

/** Whether a task knows every command of the partition that the counters count. */
export function hasApplied(report: TaskReport | undefined, partition: string, cluster: ClusterVersion): boolean {
  const shard = shardOf(partition);
  return report !== undefined && (report.shards[shard] ?? 0) >= (cluster.shards[shard] ?? 0);
}

/** Whether a queue that no report mentions is idle: the pool has tasks, and all of them know the partition as it is. */
export function isWatched(overview: TaskOverview, partition: string, pool: string, cluster: ClusterVersion): boolean {
  const reports = reportsOf(overview, pool);
  return reports.length > 0 && reports.every((report) => hasApplied(report, partition, cluster));
}

/** Of tasks that are not dead, and have told of themselves lately. */
export function liveReports({ live }: TaskOverview): TaskReport[] {
  return live.flatMap(({ report }) => (report === undefined ? [] : [report]));
}
