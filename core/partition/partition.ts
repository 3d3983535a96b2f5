import { hash32 } from "../contract/hash.ts";
import { LIMITS } from "../contract/limits.ts";
import { type QueueKey, queueKey } from "../contract/names.ts";

/**
 * ```
 *            start                 safe_stop
 *  (absent) ───────▶ running ─────────────────▶ draining
 *                     │  ▲ ▲                      │   │
 *                stop │  │ └──────── start ───────┘   │ nothing held any more
 *                     ▼  │ start                      ▼
 *                    stopped ◀────────────────────────┘
 *                     │
 *              delete ▼
 *                    deleting ──▶ deleted (a tombstone of 7 days; a start goes on from its revision)
 * ```
 */
export type PartitionStatus = "running" | "draining" | "stopped" | "deleting" | "deleted";

/** pool -> queue -> max_workers */
export type Pools = { readonly [pool: string]: { readonly [queue: string]: number } };

/**
 * A tenant's row. `status`, `pools`, `paused` belong to the commands, which are conditional on `revision` and move it;
 * `held` and `shares` belong to the tasks, which move them by expressions under the same revision.
 */
export interface Partition {
  readonly id: string;
  readonly status: PartitionStatus;
  readonly revision: number;
  readonly pools: Pools;
  /** Queue names, in every pool. */
  readonly paused: readonly string[];
  /** `<pool>/<queue>` -> how much of its max_workers tasks hold, in sum. The law is `held <= max_workers`. */
  readonly held: { readonly [key: QueueKey]: number };
  /** `<pool>/<queue>` -> boot id -> how much that task holds. */
  readonly shares: { readonly [key: QueueKey]: { readonly [task: string]: number } };
  /** Moves with every cancel marker of the partition (core/job/cancels.ts): tasks read the markers when it has moved. */
  readonly cancelSeq: number;
}

/** Which group of rows a partition lives in. */
export function shardOf(partition: string): number {
  return hash32(partition) % LIMITS.partitionShards;
}

/** A queue as one pool works it. */
export interface PoolQueue {
  readonly key: QueueKey;
  readonly pool: string;
  readonly queue: string;
  readonly maxWorkers: number;
}

export function poolQueues(partition: Pick<Partition, "pools">): PoolQueue[] {
  return Object.entries(partition.pools).flatMap(([pool, queues]) =>
    Object.entries(queues).map(([queue, maxWorkers]) => ({ key: queueKey(pool, queue), pool, queue, maxWorkers })),
  );
}

/** Every queue that the partition lists, in any pool, once. */
export function listedQueues(partition: Pick<Partition, "pools">): string[] {
  return [...new Set(poolQueues(partition).map(({ queue }) => queue))].sort();
}

export function maxWorkersOf(partition: Pick<Partition, "pools">, pool: string, queue: string): number | undefined {
  // n.b. "constructor" is a lawful name, which every object answers to.
  const queues = Object.hasOwn(partition.pools, pool) ? partition.pools[pool] : undefined;
  return queues !== undefined && Object.hasOwn(queues, queue) ? queues[queue] : undefined;
}

/** Whether new jobs of the queue may start at all. */
export function isOpen(partition: Pick<Partition, "status" | "paused">, queue: string): boolean {
  return partition.status === "running" && !partition.paused.includes(queue);
}

export function heldOf(partition: Pick<Partition, "held">, key: QueueKey): number {
  return partition.held[key] ?? 0;
}

export function shareOf(partition: Pick<Partition, "shares">, key: QueueKey, task: string): number {
  return partition.shares[key]?.[task] ?? 0;
}

/** A draining partition that nothing is held of any more: it may be settled as stopped. */
export function isDrained(partition: Pick<Partition, "status" | "held">): boolean {
  return partition.status === "draining" && totalHeld(partition) === 0;
}

export function totalHeld(partition: Pick<Partition, "held">): number {
  return Object.values(partition.held).reduce((sum, n) => sum + n, 0);
}
