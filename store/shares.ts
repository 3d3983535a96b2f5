import type { QueueKey } from "../core/contract/names.ts";
import { type Partition, shareOf } from "../core/partition/partition.ts";
import type { ShareMove } from "../core/partition/partition-store.ts";
import { type Table, updateItem, type Written } from "./items.ts";
import { getPartition, type PartitionRow, rowKey, toPartition } from "./partition-row.ts";

/*
 *   task                      row                         other tasks, commands
 *    │  reads revision, share  │                                │
 *    │ ◀────────────────────── │ ◀── commands move revision ────│
 *    │  raise: +d ───────────▶ │ ◀── others move held by ±d ────│
 *    │                         │  room left? same revision? still mine as I think? then all three at once
 *
 * A raise adds a difference: tasks that raise at the same moment do not refuse each other as long as there is room.
 */
const RAISE_IS_LAWFUL = "revision = :revision AND #status = :running AND held.#queue <= :room";
const SHARE_AS_READ = "shares.#queue.#task = :from";
const NO_SHARE_YET = "attribute_not_exists(shares.#queue.#task)";

/**
 * Moves one task's share by one expression.
 *
 * A lost reply can't count twice. A write moves `held`, `total_held` and the share together or not at all, and only if
 * the share is `from`: once it has landed the share is `to`, so its repetition is refused. The refused repetition reads
 * the row: a share of `to` means that the move has landed, since only this task moves its share, one move at a time, and
 * an evictor only takes it away whole. Evicted meanwhile: the share is 0, the answer "not moved", and the task is dead.
 * No answer and not `to`: StoreUnavailable, and should the write land later, the task's next move from the old `from` is
 * refused and shows it the row; one that makes no further move sees it when it next looks at the row (worker/queue-keeper.ts).
 * n.b. a raise from 0 that lands after its task's eviction leaves a share to a boot id without a lease: evictors count it as dead.
 *
 * @throws StoreUnavailable
 */
export async function moveShare(table: Table, move: ShareMove): Promise<{ moved: boolean; partition: Partition | undefined }> {
  const result = move.to > move.from ? await raise(table, move) : move.to < move.from ? await lower(table, move) : ({ written: false } as const);
  if (result.written) return { moved: true, partition: toPartition(result.item) };
  const partition = await getPartition(table, move.partition);
  const stays = move.to === move.from && partition !== undefined && shareOf(partition, move.key, move.task) === move.to;
  return { moved: stays, partition };
}

/** Takes away what a dead task holds. Two evictors may both be told `true` if the reply of one was lost; it is counted once. */
export async function evictShare(table: Table, partition: string, key: QueueKey, task: string, share: number): Promise<boolean> {
  return (await lower(table, { partition, key, task, from: share, to: 0 })).written;
}

type Lowering = Pick<ShareMove, "partition" | "key" | "task" | "from" | "to">;

function raise(table: Table, move: ShareMove): Promise<Written<PartitionRow>> {
  const by = move.to - move.from;
  return updateItem<PartitionRow>(
    table,
    rowKey(move.partition),
    {
      update: "SET held.#queue = held.#queue + :by, total_held = total_held + :by, shares.#queue.#task = :to",
      condition: `${RAISE_IS_LAWFUL} AND ${move.from === 0 ? NO_SHARE_YET : SHARE_AS_READ}`,
      names: { "#queue": move.key, "#task": move.task, "#status": "status" },
      values: {
        ":by": by,
        ":to": move.to,
        ":revision": move.revision,
        ":running": "running",
        ":room": move.maxWorkers - by,
        ...(move.from === 0 ? {} : { ":from": move.from }),
      },
    },
    isAt(move),
  );
}

/** Always lawful, under any revision and status: who gives back must never be refused by a command. */
function lower(table: Table, move: Lowering): Promise<Written<PartitionRow>> {
  const rest = "SET held.#queue = held.#queue - :by, total_held = total_held - :by";
  return updateItem<PartitionRow>(
    table,
    rowKey(move.partition),
    {
      update: move.to === 0 ? `${rest} REMOVE shares.#queue.#task` : `${rest}, shares.#queue.#task = :to`,
      condition: SHARE_AS_READ,
      names: { "#queue": move.key, "#task": move.task },
      values: { ":by": move.from - move.to, ":from": move.from, ...(move.to === 0 ? {} : { ":to": move.to }) },
    },
    isAt(move),
  );
}

function isAt({ key, task, to }: Lowering): (row: PartitionRow | undefined) => boolean {
  return (row) => row !== undefined && shareOf(row, key, task) === to;
}
