import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import type { QueueKey } from "../core/contract/names.ts";
import { isDrained, type Partition, totalHeld } from "../core/partition/partition.ts";
import type { Deps } from "./deps.ts";
import type { TaskOverview } from "./live-tasks.ts";

/** On top of `takeover`: `deadAt` was written by another machine's clock. */
const CLOCK_SKEW_MS = 10_000;

/**
 * Finishes what died with a task: takes the shares of dead tasks off partitions that no longer run, and lets those
 * that hold nothing come to rest. Tasks do the same; this is for when none is left.
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
  const alive = new Set(
    overview.leases.filter((lease) => !lease.dead || now - (lease.deadAt ?? now) < DEFAULT_TIMINGS.takeover + CLOCK_SKEW_MS).map(({ boot }) => boot),
  );
  for (const partition of partitions) {
    if (partition.status === "running") continue;
    for (const { key, task, share } of holdings(partition)) {
      if (alive.has(task) || !(await deps.store.partitions.evictShare(partition.id, key, task, share))) continue;
      deps.log.info("took a dead task's share", { partition: partition.id, queue: key, task, share });
    }
    if (partition.status === "draining") await settle(deps, partition);
  }
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
