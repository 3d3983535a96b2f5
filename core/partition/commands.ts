import { InvalidInput, RogerError } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import { checkPartition, checkPool, checkQueue, type QueueKey } from "../contract/names.ts";
import { heldOf, listedQueues, type Partition, type Pools, poolQueues, totalHeld } from "./partition.ts";

export type Command =
  /** Without a list: with the one that the partition has. */
  | { readonly type: "start"; readonly pools?: Pools }
  | { readonly type: "reconfigure"; readonly pools: Pools }
  | { readonly type: "safe_stop" }
  | { readonly type: "stop" }
  | { readonly type: "pause"; readonly queue: string }
  | { readonly type: "resume"; readonly queue: string }
  | { readonly type: "delete" };

export type RefusalCode = "unknown_partition" | "unknown_queue" | "not_running" | "still_running";

/** The command makes no sense in the partition's present state. */
export class CommandRefused extends RogerError {
  declare readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(code, message);
    this.name = "CommandRefused";
  }
}

/**
 * What a command makes of a partition: pure, so that the same rules hold in the API, in tests and in simulations.
 * The result carries the next revision, or is the very same object when the command changes nothing.
 *
 * @param before the row as last read; `undefined` when there is none
 * @throws InvalidInput for bad names or numbers, CommandRefused when the state forbids it
 */
export function applyCommand(id: string, before: Partition | undefined, command: Command): Partition {
  checkPartition(id);
  if (command.type === "start") return start(id, before, checkPools(command.pools ?? ownPools(id, before)));
  const partition = existing(id, before);
  switch (command.type) {
    case "reconfigure":
      if (partition.status !== "running") throw notRunning(partition);
      return configure(partition, checkPools(command.pools));
    case "safe_stop":
      if (partition.status === "draining") return partition;
      if (partition.status !== "running") throw notRunning(partition);
      return next(partition, { status: totalHeld(partition) === 0 ? "stopped" : "draining" });
    case "stop":
      if (partition.status === "stopped") return partition;
      if (partition.status !== "running" && partition.status !== "draining") throw notRunning(partition);
      return next(partition, { status: "stopped" });
    case "pause":
      return pause(partition, command.queue);
    case "resume":
      return resume(partition, command.queue);
    case "delete":
      if (partition.status === "deleting") return partition;
      if (partition.status !== "stopped") throw new CommandRefused("still_running", `partition ${id} is ${partition.status}: stop it first`);
      return next(partition, { status: "deleting" });
  }
}

function existing(id: string, before: Partition | undefined): Partition {
  if (before === undefined || before.status === "deleted") throw new CommandRefused("unknown_partition", `there is no partition "${id}"`);
  return before;
}

function ownPools(id: string, before: Partition | undefined): Pools {
  if (before === undefined || before.status === "deleted") throw new InvalidInput("queues", `there is no partition "${id}" yet: name its queues`);
  return before.pools;
}

const NEW = { status: "stopped", revision: 0, pools: {}, paused: [], held: {}, shares: {}, cancelSeq: 0 } as const;

function start(id: string, before: Partition | undefined, pools: Pools): Partition {
  if (before?.status === "deleting") throw new CommandRefused("still_running", `partition ${id} is being deleted: try again once it is gone`);
  // A tombstone's revision is gone on from, so that what was read before the deletion can never be taken for new.
  const partition =
    before === undefined || before.status === "deleted" ? { ...NEW, id, revision: before?.revision ?? 0, cancelSeq: before?.cancelSeq ?? 0 } : before;
  return partition.status === "running" ? configure(partition, pools) : next(partition, { status: "running", ...listed(partition, pools) });
}

function configure(partition: Partition, pools: Pools): Partition {
  return samePools(partition.pools, pools) ? partition : next(partition, listed(partition, pools));
}

/**
 * A new list of queues. Entries of `held` and `shares` appear with their queue. They stay when it is dropped, since tasks
 * count in them until its last job has ended, and go with a later list, so that a row in which queues come and go does not
 * grow for ever: at most those of this list and of the one before, and those whose jobs still end.
 *
 * An entry goes only if the queue was unlisted before already and nothing of it is held. Then nobody moves it any more: a
 * raise is conditional on the revision, and under this one no task wants any of an unlisted queue; to lower or to evict
 * takes a share, and there is none. A raise under an older revision that is still on its way is refused by its condition.
 */
function listed(partition: Partition, pools: Pools): Pick<Partition, "pools" | "held" | "shares"> {
  const known = new Set([...poolQueues({ pools }), ...poolQueues(partition)].map(({ key }) => key));
  const counted = (Object.keys(partition.held) as QueueKey[]).filter((key) => heldOf(partition, key) > 0 || known.has(key));
  const keys = [...new Set([...poolQueues({ pools }).map(({ key }) => key), ...counted])];
  return {
    pools,
    held: Object.fromEntries(keys.map((key) => [key, heldOf(partition, key)])),
    shares: Object.fromEntries(keys.map((key) => [key, partition.shares[key] ?? {}])),
  };
}

function pause(partition: Partition, queue: string): Partition {
  checkNotDeleting(partition);
  checkListed(partition, queue);
  if (partition.paused.includes(queue)) return partition;
  return next(partition, { paused: [...partition.paused, queue].sort() });
}

function resume(partition: Partition, queue: string): Partition {
  checkNotDeleting(partition);
  // A queue that was dropped from the list while paused can still be resumed: else its pause would outlive any way to end it.
  if (!partition.paused.includes(queue)) {
    checkListed(partition, queue);
    return partition;
  }
  return next(partition, { paused: partition.paused.filter((name) => name !== queue) });
}

function checkNotDeleting({ id, status }: Partition): void {
  if (status === "deleting") throw new CommandRefused("not_running", `partition ${id} is being deleted`);
}

function checkListed(partition: Partition, queue: string): void {
  checkQueue(queue);
  if (!listedQueues(partition).includes(queue)) {
    throw new CommandRefused(
      "unknown_queue",
      `partition ${partition.id} has no queue "${queue}"; it has ${listedQueues(partition).join(", ") || "none"}`,
    );
  }
}

function notRunning(partition: Partition): CommandRefused {
  return new CommandRefused("not_running", `partition ${partition.id} is ${partition.status}, not running`);
}

function next(partition: Partition, change: Partial<Partition>): Partition {
  return { ...partition, ...change, revision: partition.revision + 1 };
}

/** @throws InvalidInput naming `pools.<pool>.<queue>` */
export function checkPools(pools: Pools): Pools {
  let queues = 0;
  for (const [pool, byQueue] of Object.entries(pools)) {
    checkPool(pool, `pools.${pool}`);
    for (const [queue, maxWorkers] of Object.entries(byQueue)) {
      const field = `pools.${pool}.${queue}`;
      checkQueue(queue, field);
      if (!Number.isSafeInteger(maxWorkers) || maxWorkers < 0 || maxWorkers > LIMITS.maxWorkers) {
        throw new InvalidInput(field, `max_workers must be a whole number from 0 to ${LIMITS.maxWorkers}, not ${maxWorkers}`);
      }
      queues += 1;
    }
  }
  if (queues > LIMITS.queuesPerPartition) throw new InvalidInput("pools", `${queues} queues; a partition has at most ${LIMITS.queuesPerPartition}`);
  return pools;
}

function samePools(a: Pools, b: Pools): boolean {
  return canonical(a) === canonical(b);
}

function canonical(pools: Pools): string {
  const rows = Object.entries(pools).map(([pool, queues]) => [pool, Object.entries(queues).sort()] as const);
  return JSON.stringify(rows.filter(([, queues]) => queues.length > 0).sort());
}
