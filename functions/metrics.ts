import { METRICS_DIMENSION, METRICS_NAMESPACE, PASS_METRICS, type PassMetric } from "../core/contract/metrics.ts";
import { type Partition, poolQueues, totalHeld } from "../core/partition/partition.ts";
import { queueCounts, reportsOf, type TaskOverview } from "./live-tasks.ts";

/** What a scaling pass has read anyway, and how late parked jobs are. */
export interface PassFacts {
  /** Epoch ms. */
  readonly at: number;
  /** Without tombstones. */
  readonly partitions: readonly Partition[];
  readonly overview: TaskOverview;
  /** Tasks that all services together are asked for. */
  readonly desired: number;
  /** How long the oldest parked job has been due, at least; ms. */
  readonly overdueMs: number;
}

/**
 * A pass as one log line that CloudWatch takes for metrics (the embedded metric format): no request, no rights, and
 * the line can be read by people, too.
 * @param table tells deployments in the same account apart
 */
export function passMetrics(table: string, facts: PassFacts): Record<string, unknown> {
  return {
    _aws: {
      Timestamp: facts.at,
      CloudWatchMetrics: [
        {
          Namespace: METRICS_NAMESPACE,
          Dimensions: [[METRICS_DIMENSION]],
          Metrics: Object.entries(PASS_METRICS).map(([Name, Unit]) => ({ Name, Unit })),
        },
      ],
    },
    [METRICS_DIMENSION]: table,
    ...values(facts),
  };
}

function values({ partitions, overview, desired, overdueMs }: PassFacts): Record<PassMetric, number> {
  // A task that has told nothing yet, or nothing for long, may be no more than an item that nobody has removed.
  const live = overview.live.flatMap(({ lease, report }) => (report === undefined ? [] : [{ lease, report }]));
  const alive = partitions.filter(isAlive);
  const counts = queueCounts(overview);
  const ready = alive.flatMap((partition) => poolQueues(partition).map(({ key }) => counts(partition.id, key).ready ?? 0));
  return {
    RunningPartitions: alive.length,
    UnservedPartitions: alive.filter((partition) => isUnserved(partition, overview)).length,
    LiveTasks: live.length,
    DisconnectedTasks: live.filter(({ lease }) => !lease.connected).length,
    DesiredTasks: desired,
    Slots: sum(live.map(({ lease }) => lease.slots)),
    RunningJobs: sum(live.map(({ report }) => report.busy)),
    ReadyJobs: sum(ready),
    OverdueSeconds: Math.floor(overdueMs / 1000),
  };
}

/** Needs a task: it runs, or has jobs that still run. */
export function isAlive(partition: Partition): boolean {
  return partition.status === "running" || (partition.status === "draining" && totalHeld(partition) > 0);
}

function isUnserved(partition: Partition, overview: TaskOverview): boolean {
  return poolQueues(partition).some(({ pool, maxWorkers }) => maxWorkers > 0 && reportsOf(overview, pool).length === 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
