import type { QueueKey } from "../contract/names.ts";
import { isOpen, type Partition, poolQueues, totalHeld } from "./partition.ts";

/** What one pool may grow to. */
export interface PoolBounds {
  readonly pool: string;
  /** Jobs that one of its tasks runs at once. */
  readonly slots: number;
  readonly min: number;
  readonly max: number;
}

/** Ready and running jobs of a queue, summed over what tasks reported; absent: nobody has told yet. */
export type Backlog = (partition: string, key: QueueKey) => { readonly ready: number; readonly running: number } | undefined;

/**
 * How many tasks a pool needs for the work that may run at once right now: for each open queue the smaller of its
 * `max_workers` and its backlog (an unknown backlog counts as full), divided by the slots of a task.
 *
 * At least one task as long as a partition runs or drains, else `min`.
 */
export function neededTasks(bounds: PoolBounds, partitions: Iterable<Partition>, backlog: Backlog): number {
  let work = 0;
  let alive = false;
  for (const partition of partitions) {
    const draining = partition.status !== "running" && totalHeld(partition) > 0;
    for (const { key, pool, queue, maxWorkers } of poolQueues(partition)) {
      if (pool !== bounds.pool) continue;
      if (partition.status === "running" || draining) alive = true;
      if (!isOpen(partition, queue)) continue;
      const known = backlog(partition.id, key);
      work += known === undefined ? maxWorkers : Math.min(maxWorkers, known.ready + known.running);
    }
  }
  const needed = alive ? Math.max(1, Math.ceil(work / bounds.slots)) : 0;
  return Math.min(bounds.max, Math.max(bounds.min, needed));
}

/** Remembered between two scaling passes. */
export interface ScaleState {
  readonly desired: number;
  /** Passes in a row that needed fewer tasks than there are. */
  readonly quietPasses: number;
}

/** Passes that must agree before a pool shrinks. */
export const QUIET_PASSES = 5;

/**
 * Out at once, in slowly: after five quiet passes, by at most a quarter (at least one task) a pass; to zero only when
 * nothing needs a task at all.
 */
export function nextScale(state: ScaleState, needed: number): ScaleState {
  if (needed >= state.desired) return { desired: needed, quietPasses: 0 };
  const quietPasses = state.quietPasses + 1;
  if (quietPasses < QUIET_PASSES) return { desired: state.desired, quietPasses };
  const step = Math.max(1, Math.floor(state.desired / 4));
  return { desired: Math.max(needed, state.desired - step), quietPasses };
}
