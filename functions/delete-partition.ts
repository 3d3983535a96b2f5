import { brokerQueue, splitQueueKey } from "../core/contract/names.ts";
import type { QueueAdmin } from "../core/job/broker.ts";
import type { Belonging } from "../core/partition/belongings.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import { listedQueues, type Partition, totalHeld } from "../core/partition/partition.ts";
import { runCommand } from "./commands.ts";
import type { QueuesDeps } from "./deps.ts";
import { RequestRefused } from "./problem.ts";

/** One request removes items for at most so long; the caller asks again. */
const REMOVE_BUDGET_MS = 10_000;
/** Items that are removed side by side. */
const REMOVE_BATCH = 25;

/**
 * The end of a partition, step by step; each can be done again, so a request that died is simply repeated:
 *
 * ```
 * stopped ─▶ deleting ─▶ nothing held ─▶ nothing waits ─▶ no RabbitMQ queues ─▶ the rest is gone ─▶ tombstone
 * ```
 *
 * Queue keys and parked jobs go before the queues, so that no pump fills a queue that is about to be removed; buried jobs,
 * locks, cancel markers after them, so that no dead letter is left over.
 * @throws CommandRefused while it runs; RequestRefused `not_empty` when jobs are left and `force` isn't given
 */
export async function deletePartition(deps: QueuesDeps, id: string, force: boolean): Promise<"deleting" | "deleted"> {
  const before = await deps.store.partitions.get(id);
  if (before === undefined) throw new CommandRefused("unknown_partition", `there is no partition "${id}"`);
  // A repeated request whose first answer was lost.
  if (before.status === "deleted") return "deleted";
  // The decision is made once, before `deleting`: from then on there is no way back.
  if (before.status === "stopped" && !force) await refuseUnlessEmpty(deps, before);
  const partition = await runCommand(deps, id, { type: "delete" });
  if (totalHeld(partition) > 0) return "deleting";

  const deadline = deps.clock.monotonic() + REMOVE_BUDGET_MS;
  if (!(await removeAll(deps, id, "waiting", deadline))) return "deleting";
  const every = await everyQueue(deps, partition);
  await deps.withQueues((queues) => removeQueues(queues, id, every));
  if (!(await removeAll(deps, id, "rest", deadline))) return "deleting";
  return (await deps.store.partitions.bury(partition, deps.clock.now())) ? "deleted" : "deleting";
}

async function refuseUnlessEmpty(deps: QueuesDeps, partition: Partition): Promise<void> {
  const refuse = (what: string) => {
    throw new RequestRefused("not_empty", `partition ${partition.id} still has ${what}; force=true deletes them, too`);
  };
  // What runs is on its way back to its queue.
  if (totalHeld(partition) > 0) refuse("jobs that are ending");
  const parked = await deps.store.parked.list(partition.id, { limit: 1 });
  if (parked.jobs.length > 0) refuse("parked jobs");
  await deps.withQueues(async (queues) => {
    for (const queue of await everyQueue(deps, partition)) {
      const name = brokerQueue(partition.id, queue);
      const depth = (await queues.depth(name)) ?? 0;
      if (depth > 0) refuse(`${depth} jobs in queue ${queue}`);
      // n.b. a count lags behind what was handed back a moment ago; a message that is asked for comes after it.
      if (((await queues.peek(name, 1)) ?? []).length > 0) refuse(`jobs in queue ${queue}`);
    }
  });
}

async function removeQueues(queues: QueueAdmin, partition: string, every: readonly string[]): Promise<void> {
  for (const queue of every) await queues.remove(brokerQueue(partition, queue));
}

/** Queues that the partition lists or once listed: dropped from the list, they keep their jobs. */
export async function everyQueue({ store }: Pick<QueuesDeps, "store">, partition: Partition): Promise<string[]> {
  const counted = Object.keys(partition.held).map((key) => splitQueueKey(key as keyof Partition["held"]).queue);
  return [...new Set([...listedQueues(partition), ...counted, ...(await store.partitions.formerQueues(partition.id))])].sort();
}

/** @returns whether none is left */
async function removeAll({ store, clock }: QueuesDeps, partition: string, what: Belonging, deadline: number): Promise<boolean> {
  do {
    if (!(await store.belongings.removeSome(partition, what, REMOVE_BATCH))) return true;
  } while (clock.monotonic() < deadline);
  return false;
}
