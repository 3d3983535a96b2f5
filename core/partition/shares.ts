import { rendezvous } from "../contract/hash.ts";
import { queueKey } from "../contract/names.ts";
import { heldOf, isOpen, maxWorkersOf, type Partition, shareOf } from "./partition.ts";

/** A task that may hold shares: alive, of the pool, not draining. */
export interface ShareTask {
  readonly boot: string;
  readonly slots: number;
  /** It has no use for more: its slots have been full for a while, or it has no RabbitMQ. @default false */
  readonly full?: boolean;
}

/** One queue of a pool, and the tasks among which it is shared out. */
export interface Sharing {
  readonly partition: Partition;
  readonly pool: string;
  readonly queue: string;
  readonly tasks: readonly ShareTask[];
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
export function targetShares({ partition, pool, queue, tasks }: Sharing): Map<string, number> {
  const targets = new Map<string, number>();
  const maxWorkers = maxWorkersOf(partition, pool, queue) ?? 0;
  if (maxWorkers === 0 || tasks.length === 0 || !isOpen(partition, queue)) return targets;

  const bySlots = new Map(tasks.map(({ boot, slots }) => [boot, slots]));
  const smallest = Math.max(1, Math.min(...bySlots.values()));
  const spread = Math.min(maxWorkers, tasks.length, Math.max(2, Math.ceil(maxWorkers / 8), Math.ceil(maxWorkers / smallest)));
  const chosen = ranked(partition, queue, tasks).slice(0, spread);
  const each = Math.floor(maxWorkers / spread);
  const rest = maxWorkers % spread;
  chosen.forEach(({ boot, slots }, rank) => {
    const share = Math.min(each + (rank < rest ? 1 : 0), slots);
    if (share > 0) targets.set(boot, share);
  });
  return targets;
}

/**
 * How much of a queue one task should hold, given who holds what: its target, and beyond it what nobody else takes.
 *
 * - What is free (`max_workers - held`) belongs first to the tasks with room that hold less than their target. What is
 *   then left is spare: a chosen task is full and has let go, or has fewer slots than its target would need. Tasks with
 *   room take it, the first in rank as much as its slots allow, then the next.
 * - A surplus over the target is kept as it is, also by a task that is full meanwhile. It is given back, by the last in
 *   rank first, in so far as a task with room holds less than its target and can't get it from what is free: so it moves
 *   when a chosen task has room again, when `max_workers` falls, when tasks come; never to and fro by itself.
 *
 * All of this is a preference computed from a row that may be old; a write that it leads to is refused, or shows the row.
 *
 * @param me boot id of the task that asks; 0 unless it is one of `tasks`
 * @param share what it holds
 * @param targets of `targetShares` for the same sharing
 */
export function wantedShare(sharing: Sharing, me: string, share: number, targets: ReadonlyMap<string, number>): number {
  const { partition, pool, queue, tasks } = sharing;
  const self = tasks.find(({ boot }) => boot === me);
  const maxWorkers = maxWorkersOf(partition, pool, queue) ?? 0;
  if (self === undefined || maxWorkers === 0 || !isOpen(partition, queue)) return 0;

  const key = queueKey(pool, queue);
  const target = (boot: string): number => targets.get(boot) ?? 0;
  const holds = (boot: string): number => (boot === me ? share : shareOf(partition, key, boot));
  const free = maxWorkers - (heldOf(partition, key) - shareOf(partition, key, me) + share);
  let owed = 0;
  for (const [boot, meant] of targets) {
    const lacks = boot === me ? 0 : meant - holds(boot);
    if (lacks > 0 && tasks.some((task) => task.boot === boot && !task.full)) owed += lacks;
  }

  if (share > target(me)) {
    let short = Math.max(0, owed - free);
    if (short > 0) {
      for (const { boot } of ranked(partition, queue, tasks).toReversed()) {
        const gives = Math.min(short, Math.max(0, holds(boot) - target(boot)));
        if (boot === me) return share - gives;
        short -= gives;
      }
    }
  }
  const wanted = Math.max(share, target(me));
  let spare = free - owed - (wanted - share);
  if (spare <= 0 || self.full) return wanted;
  for (const { boot, slots, full } of ranked(partition, queue, tasks)) {
    if (full) continue;
    const takes = Math.min(spare, Math.max(0, slots - Math.max(holds(boot), target(boot))));
    if (boot === me) return wanted + takes;
    spare -= takes;
  }
  return wanted;
}

/**
 * Whether a queue that waits in a full task does better elsewhere: another task has room, and is meant to hold a part of the
 * queue, holds one (if it holds as much as it has slots, it is idle: what this task gives back goes there), or has slots left
 * to take over what is let go.
 */
export function isServedBesides(sharing: Sharing, me: string, targets: ReadonlyMap<string, number>, takenOver: boolean): boolean {
  const { partition, pool, queue, tasks } = sharing;
  const key = queueKey(pool, queue);
  return tasks.some(({ boot, slots, full }) => {
    if (boot === me || full) return false;
    const holds = shareOf(partition, key, boot);
    return targets.has(boot) || holds > 0 || (takenOver && holds < slots);
  });
}

/** The order in which tasks are meant for a queue. */
function ranked({ id }: Partition, queue: string, tasks: readonly ShareTask[]): ShareTask[] {
  const byBoot = new Map(tasks.map((task) => [task.boot, task]));
  return rendezvous(`${id}/${queue}`, [...byBoot.keys()]).map((boot) => byBoot.get(boot) as ShareTask);
}
