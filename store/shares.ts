import type { QueueKey } from "../core/contract/names.ts";
import { type Partition, shareOf } from "../core/partition/partition.ts";
import type { ShareMove } from "../core/partition/partition-store.ts";
import { type Table, updateItem, type Written } from "./items.ts";
import { getPartition, type PartitionRow, rowKey, type ShareEntry, toPartition } from "./partition-row.ts";

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
const MINE_AS_I_LEFT_IT = "shares.#queue.#task.#n = :from AND shares.#queue.#task.#move < :move";
const SHARE_AS_READ = "shares.#queue.#task.#n = :from";
const NO_SHARE_YET = "attribute_not_exists(shares.#queue.#task)";

/**
 * Counts the moves of this process. Shares of a boot id are moved by its own process alone, so of two moves of one share
 * the later has the higher number.
 *
 * Without it a share could be lowered twice by one lowering (docs/decisions/0007-a-share-carries-the-number-of-its-move.md):
 *
 *   task      lower 5 to 3 ── no answer ── again ──▶ done ── raise 3 to 5 ──▶ done
 *   network       └────────────── its packets were on their way all the time ─────────▶ 5 to 3, while 5 run
 */
let moves = 0;

/**
 * Moves one task's share by one expression.
 *
 * A lost reply can't count twice. A write moves `held`, `total_held` and the share together or not at all, and only if
 * the share is `from`: once it has landed the share is `to`, so its repetition is refused. The refused repetition reads
 * the row: a share of `to` means that the move has landed, since only this task moves its share, one move at a time, and
 * an evictor only takes it away whole. Evicted meanwhile: the share is 0, the answer "not moved", and the task is dead.
 * No answer and not `to`: StoreUnavailable, and should the write land later, the task's next move from the old `from` is
 * refused and shows it the row; one that makes no further move sees it when it next looks at the row (worker/queue-keeper.ts).
 * n.b. a raise from 0 that lands after its task's eviction leaves a share to a boot id without a lease, or with a dead one:
 * evictors and every scaling pass count it as dead.
 *
 * @throws StoreUnavailable
 */
export async function moveShare(table: Table, move: ShareMove): Promise<{ moved: boolean; partition: Partition | undefined }> {
  moves += 1;
  const result =
    move.to > move.from ? await raise(table, move, moves) : move.to < move.from ? await lower(table, move, moves) : ({ written: false } as const);
  if (result.written) return { moved: true, partition: toPartition(result.item) };
  const partition = await getPartition(table, move.partition);
  const stays = move.to === move.from && partition !== undefined && shareOf(partition, move.key, move.task) === move.to;
  return { moved: stays, partition };
}

/** Takes away what a dead task holds. Two evictors may both be told `true` if the reply of one was lost; it is counted once. */
export async function evictShare(table: Table, partition: string, key: QueueKey, task: string, share: number): Promise<boolean> {
  return (await lower(table, { partition, key, task, from: share, to: 0 }, undefined)).written;
}

type Lowering = Pick<ShareMove, "partition" | "key" | "task" | "from" | "to">;

function raise(table: Table, move: ShareMove, nth: number): Promise<Written<PartitionRow>> {
  const by = move.to - move.from;
  return updateItem<PartitionRow>(
    table,
    rowKey(move.partition),
    {
      update: "SET held.#queue = held.#queue + :by, total_held = total_held + :by, shares.#queue.#task = :share",
      condition: `${RAISE_IS_LAWFUL} AND ${move.from === 0 ? NO_SHARE_YET : MINE_AS_I_LEFT_IT}`,
      names: { "#queue": move.key, "#task": move.task, "#status": "status", ...(move.from === 0 ? {} : SHARE) },
      values: {
        ":by": by,
        ":share": { n: move.to, move: nth } satisfies ShareEntry,
        ":revision": move.revision,
        ":running": "running",
        ":room": move.maxWorkers - by,
        ...(move.from === 0 ? {} : { ":from": move.from, ":move": nth }),
      },
    },
    isAt(move, nth),
  );
}

/**
 * Always lawful, under any revision and status: who gives back must never be refused by a command.
 * @param nth `undefined`: an evictor's, who takes the share whole, whichever move left it
 */
function lower(table: Table, move: Lowering, nth: number | undefined): Promise<Written<PartitionRow>> {
  const rest = "SET held.#queue = held.#queue - :by, total_held = total_held - :by";
  const { key, task, from, to } = move;
  return updateItem<PartitionRow>(
    table,
    rowKey(move.partition),
    {
      update: to === 0 ? `${rest} REMOVE shares.#queue.#task` : `${rest}, shares.#queue.#task = :share`,
      condition: nth === undefined ? SHARE_AS_READ : MINE_AS_I_LEFT_IT,
      names: { "#queue": key, "#task": task, ...(nth === undefined ? { "#n": SHARE["#n"] } : SHARE) },
      values: {
        ":by": from - to,
        ":from": from,
        ...(nth === undefined ? {} : { ":move": nth }),
        ...(nth === undefined || to === 0 ? {} : { ":share": { n: to, move: nth } satisfies ShareEntry }),
      },
    },
    isAt(move, nth),
  );
}

const SHARE = { "#n": "n", "#move": "move" } as const;

/** What is gone has no number: nobody else but an evictor takes a share away, and then it is gone, too. */
function isAt({ key, task, to }: Lowering, nth: number | undefined): (row: PartitionRow | undefined) => boolean {
  return (row) => {
    const entry = row?.shares[key]?.[task];
    return row !== undefined && (to === 0 ? entry === undefined : entry?.move === nth);
  };
}
