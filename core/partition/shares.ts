import { rendezvous } from "../contract/hash.ts";
import { isOpen, maxWorkersOf, type Partition } from "./partition.ts";

/** A task that may hold shares: alive, of the pool, not draining. */
export interface ShareTask {
  readonly boot: string;
  readonly slots: number;
}

/**
 * How much of a queue's `max_workers` each task should hold. Every task computes the same from the same rows.
 *
 * A queue spreads over as few tasks as give it redundancy (2) and an eighth of itself each, but over enough
 * that their slots suffice. Which tasks these are is rendezvous hashing: a task that comes or goes moves little.
 * It is a preference. The law, `held <= max_workers`, is kept by the condition of the write that raises a share.
 *
 * @returns boot id -> share; tasks that should hold nothing are absent
 */
export function targetShares(partition: Partition, pool: string, queue: string, tasks: readonly ShareTask[]): Map<string, number> {
  const targets = new Map<string, number>();
  const maxWorkers = maxWorkersOf(partition, pool, queue) ?? 0;
  if (maxWorkers === 0 || tasks.length === 0 || !isOpen(partition, queue)) return targets;

  const bySlots = new Map(tasks.map(({ boot, slots }) => [boot, slots]));
  const smallest = Math.max(1, Math.min(...bySlots.values()));
  const spread = Math.min(maxWorkers, tasks.length, Math.max(2, Math.ceil(maxWorkers / 8), Math.ceil(maxWorkers / smallest)));
  const chosen = rendezvous(`${partition.id}/${queue}`, [...bySlots.keys()]).slice(0, spread);
  const each = Math.floor(maxWorkers / spread);
  const rest = maxWorkers % spread;
  chosen.forEach((boot, rank) => {
    const share = Math.min(each + (rank < rest ? 1 : 0), bySlots.get(boot) ?? 0);
    if (share > 0) targets.set(boot, share);
  });
  return targets;
}
