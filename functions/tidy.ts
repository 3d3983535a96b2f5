import { describeError } from "../core/contract/errors.ts";
import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import type { QueueKey } from "../core/contract/names.ts";
import { isDrained, type Partition, shardOf, totalHeld } from "../core/partition/partition.ts";
import type { Deps } from "./deps.ts";
import type { TaskOverview } from "./live-tasks.ts";

/** On top of `takeover`: `deadAt` was written by another machine's clock. */
const CLOCK_SKEW_MS = 10_000;
/** A partition that runs has tasks, and they count in a dead one's shares at once: what is left by then came later. */
const LEFT_BEHIND_MS = 60_000;
/** Then it is not a partition's fault but the table's, and the rest is left to the next pass: each failure takes its time. */
const MAX_FAILURES = 3;

/**
 * Finishes what died with a task: takes the shares of dead tasks off partitions, and lets those that hold nothing and
 * drain come to rest. Tasks do the same; this is for when none is left, and for a share that comes when they have looked:
 * a task that stood still may send a raise after its death, or it was on the wire for long. Each pass looks again, so it
 * is nobody's for a pass or two and no longer. What fails is logged and costs no other partition its turn, nor the pass.
 *
 * | dies after | then |
 * |---|---|
 * | some evictions | each is one conditional write; the next pass does the rest |
 * | the last one, not announced | a task that wants more than it has looks by itself; another learns it with the next change of its group |
 *
 * @param overview read after `partitions`: a task is registered before it holds anything, so a holder without
 *   a lease has been forgotten, which happens to the dead only
 */
export async function tidyPartitions(
  deps: Pick<Deps, "store" | "clock" | "log">,
  partitions: readonly Partition[],
  overview: TaskOverview,
): Promise<void> {
  const now = deps.clock.now();
  const holders = (afterMs: number): ReadonlySet<string> =>
    new Set(overview.leases.filter(({ dead, deadAt = now }) => !dead || now - deadAt < afterMs).map(({ boot }) => boot));
  const lately = holders(DEFAULT_TIMINGS.takeover + CLOCK_SKEW_MS);
  const longAgo = holders(LEFT_BEHIND_MS);
  const freed = new Set<number>();
  let failures = 0;
  for (const partition of partitions) {
    const running = partition.status === "running";
    try {
      const evicted = await evict(deps, partition, running ? longAgo : lately);
      if (evicted && running) freed.add(shardOf(partition.id));
      if (partition.status === "draining") await settle(deps, partition);
    } catch (error) {
      deps.log.error("a partition could not be tidied up", { partition: partition.id, error: describeError(error) });
      failures += 1;
      if (failures === MAX_FAILURES) break;
    }
  }
  if (freed.size > 0) await announce(deps, [...freed]);
}

async function announce({ store, log }: Pick<Deps, "store" | "log">, shards: readonly number[]): Promise<void> {
  try {
    await store.partitions.announce(shards);
  } catch (error) {
    log.error("tasks could not be told of shares that are free again", { error: describeError(error) });
  }
}

/** @returns whether there was anything to take */
async function evict({ store, log }: Pick<Deps, "store" | "log">, partition: Partition, holders: ReadonlySet<string>): Promise<boolean> {
  let evicted = false;
  for (const { key, task, share } of holdings(partition)) {
    if (holders.has(task) || !(await store.partitions.evictShare(partition.id, key, task, share))) continue;
    log.info("took a dead task's share", { partition: partition.id, queue: key, task, share });
    evicted = true;
  }
  return evicted;
}

async function settle({ store, log }: Pick<Deps, "store" | "log">, read: Partition): Promise<void> {
  const partition = totalHeld(read) === 0 ? read : await store.partitions.get(read.id);
  if (partition === undefined || !isDrained(partition)) return;
  if (await store.partitions.settleDrained(partition)) log.info("drained", { partition: partition.id });
}

function holdings(partition: Partition): { readonly key: QueueKey; readonly task: string; readonly share: number }[] {
  return Object.entries(partition.shares).flatMap(([key, byTask]) =>
    Object.entries(byTask).map(([task, share]) => ({ key: key as QueueKey, task, share })),
  );
}
