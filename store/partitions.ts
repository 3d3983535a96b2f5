import { LIMITS } from "../core/contract/limits.ts";
import { PARTITION_PATTERN, type QueueKey, splitQueueKey } from "../core/contract/names.ts";
import { type Partition, type PartitionStatus, shardOf, totalHeld } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import { bump, readVersion } from "./cluster.ts";
import { badCursor, decodeCursor, encodeCursor } from "./cursor.ts";
import { StoreUnavailable } from "./errors.ts";
import { expiresAt, newRev, putItem, queryAll, queryPage, type Table, updateItem, type Written } from "./items.ts";
import { getPartition, isThere, type PartitionRow, rowKey, shardKey, TOMBSTONE_MS, toPartition } from "./partition-row.ts";
import { evictShare, moveShare } from "./shares.ts";

export function partitionStore(table: Table): PartitionStore {
  return {
    get: (id) => getPartition(table, id),
    list: (page) => list(table, page),
    readShard: async (shard) => (await queryAll<PartitionRow>(table, shardKey(shard))).filter((row) => isThere(table, row)).map(toPartition),
    readVersion: () => readVersion(table),
    commit: (before, after) => commit(table, before, after),
    formerQueues: async (id) => (await queryAll(table, formerKey(id))).map(({ sk }) => sk),
    announce: (shards) => bump(table, ...shards),
    moveShare: (move) => moveShare(table, move),
    evictShare: (partition, key, task, share) => evictShare(table, partition, key, task, share),
    announceCancel: (id) => announceCancel(table, id),
    settleDrained: (partition) => settleDrained(table, partition),
    bury: (partition, now) => bury(table, partition, now),
  };
}

/*
 *   command            CLUSTER     row                        worker
 *    │ bump ────────────▶ │         │       sees the bump, reads the row: perhaps still the old one,
 *    │ write, if it is as read ───▶ │       and reads it again 15 s later: this heals a crash right here
 *    │ bump ────────────▶ │         │       sees the bump, reads the new one
 *
 * A revision is written once, so a condition on it is a condition on all that commands own.
 */
const REVISION_AS_READ = "revision = :read";
/** A stop that was decided because nothing was held: it must still be so when it is written. */
const STILL_IDLE = "total_held = :zero";
/** No row, or a tombstone that DynamoDB has not removed yet though its days are over. */
const NO_ROW = "attribute_not_exists(pk) OR (#status = :deleted AND expires <= :now)";
const TOMBSTONE_AS_READ = "#status = :deleted AND revision = :read";
/**
 * Whoever sees `held` come to zero may settle; nothing can be raised in these states, so it stays zero. The revision
 * keeps a late burial away from the same partition's next life, whose deletion has not removed its queues yet.
 */
const NOTHING_HELD = "#status = :from AND revision = :read AND total_held = :zero";

async function commit(table: Table, before: Partition | undefined, after: Partition): Promise<Partition | undefined> {
  const shard = shardOf(after.id);
  await bump(table, shard);
  const result = before === undefined || before.status === "deleted" ? await create(table, before, after) : await change(table, before, after);
  if (!result.written) return undefined;
  await announce(table, shard);
  return toPartition(result.item);
}

/** The row and its maps come to be whole, in one put: entries of a map can't be set in the expression that creates it. */
function create(table: Table, before: Partition | undefined, after: Partition): Promise<Written<PartitionRow>> {
  const rev = newRev();
  const { id, status, revision, pools, paused, held, cancelSeq } = after;
  const total_held = totalHeld(after);
  // A row that is new: nobody holds anything of it.
  const shares = Object.fromEntries(Object.keys(after.shares).map((key) => [key, {}]));
  const row: PartitionRow = { ...rowKey(id), status, revision, pools, paused, held, shares, cancel_seq: cancelSeq, total_held, rev };
  const names = { "#status": "status" };
  const expected =
    before === undefined
      ? { condition: NO_ROW, names, values: { ":deleted": "deleted", ":now": Math.floor(table.clock.now() / 1000) } }
      : { condition: TOMBSTONE_AS_READ, names, values: { ":deleted": "deleted", ":read": before.revision } };
  return putItem(table, row, expected, (item) => item?.rev === rev);
}

async function change(table: Table, before: Partition, after: Partition): Promise<Written<PartitionRow>> {
  const rev = newRev();
  const idle = before.status === "running" && after.status === "stopped" && totalHeld(before) === 0;
  const keys = (partition: Partition): QueueKey[] => Object.keys(partition.held) as QueueKey[];
  // Aliases are short on purpose: 50 new queues, and all that ever go with one list, must fit into the 4 KB of an expression.
  const added = keys(after).filter((key) => before.held[key] === undefined);
  const gone = keys(before).filter((key) => after.held[key] === undefined);
  await remember(table, after.id, gone);
  const entries = added.map((_, i) => `,#h.#q${i}=:zero,#s.#q${i}=:none`);
  const removals = gone.length === 0 ? "" : ` REMOVE ${gone.map((_, i) => `#h.#g${i},#s.#g${i}`).join(",")}`;
  return updateItem<PartitionRow>(
    table,
    rowKey(after.id),
    {
      update: `SET #status = :status, pools = :pools, paused = :paused, revision = :revision, rev = :rev${entries.join("")}${removals}`,
      condition: idle ? `${REVISION_AS_READ} AND ${STILL_IDLE}` : REVISION_AS_READ,
      names: {
        "#status": "status",
        ...(added.length + gone.length > 0 ? { "#h": "held", "#s": "shares" } : {}),
        ...Object.fromEntries(added.map((key, i) => [`#q${i}`, key])),
        ...Object.fromEntries(gone.map((key, i) => [`#g${i}`, key])),
      },
      values: {
        ":status": after.status,
        ":pools": after.pools,
        ":paused": after.paused,
        ":revision": after.revision,
        ":rev": rev,
        ":read": before.revision,
        ...(added.length > 0 || idle ? { ":zero": 0 } : {}),
        ...(added.length > 0 ? { ":none": {} } : {}),
      },
    },
    (row) => row?.rev === rev,
  );
}

/**
 * Small items of their own, so that the row forgets and the partition's deletion does not. Written before the row: a
 * command that dies in between, or is refused, leaves a name too many, which costs the deletion one question to RabbitMQ.
 */
async function remember(table: Table, id: string, gone: readonly QueueKey[]): Promise<void> {
  const queues = new Set(gone.map((key) => splitQueueKey(key).queue));
  await Promise.all([...queues].map((queue) => putItem(table, { pk: formerKey(id), sk: queue }, {})));
}

/** They go with the rest of what belonged to the partition, once their RabbitMQ queues are gone. */
export function formerKey(id: string): string {
  return `FORMER#${id}`;
}

/**
 * The bump after a write. The write stands, whatever becomes of the bump: a command's first bump has promised workers
 * a second look, and a settled partition holds nothing that a worker must hurry for. So its failure is not the caller's.
 */
async function announce(table: Table, shard: number): Promise<void> {
  try {
    await bump(table, shard);
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw error;
  }
}

/** Repeated when its reply was lost, it moves twice: the tasks read the markers once more than needed. */
async function announceCancel(table: Table, id: string): Promise<boolean> {
  const shard = shardOf(id);
  await bump(table, shard);
  const { written } = await updateItem<PartitionRow>(table, rowKey(id), {
    update: "SET cancel_seq = if_not_exists(cancel_seq, :zero) + :one",
    condition: "attribute_exists(pk) AND #status <> :deleted",
    names: { "#status": "status" },
    values: { ":zero": 0, ":one": 1, ":deleted": "deleted" },
  });
  if (written) await announce(table, shard);
  return written;
}

async function settleDrained(table: Table, partition: Partition): Promise<boolean> {
  return settleAs(table, partition, "draining", "#status = :to", { ":to": "stopped" });
}

/** The tombstone keeps the revision, and nothing else that belonged to the tenant. */
async function bury(table: Table, partition: Partition, now: number): Promise<boolean> {
  const values = { ":to": "deleted", ":none": {}, ":nobody": [], ":expires": expiresAt(now + TOMBSTONE_MS) };
  return settleAs(
    table,
    partition,
    "deleting",
    "#status = :to, pools = :none, paused = :nobody, held = :none, shares = :none, expires = :expires",
    values,
  );
}

async function settleAs(
  table: Table,
  { id, revision }: Partition,
  from: PartitionStatus,
  set: string,
  values: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  const mark = newRev();
  const { written } = await updateItem<PartitionRow>(
    table,
    rowKey(id),
    {
      update: `SET ${set}, settled = :mark`,
      condition: NOTHING_HELD,
      names: { "#status": "status" },
      values: { ...values, ":mark": mark, ":from": from, ":read": revision, ":zero": 0 },
    },
    (row) => row?.settled === mark,
  );
  if (written) await announce(table, shardOf(id));
  return written;
}

/** Queries that one call of `list` makes at most: as many as there are groups. Then it answers with what it has, and a cursor. */
const QUERIES_PER_LIST = LIMITS.partitionShards;

const CURSOR = "partitions";

/** A place between two rows: the group, and the row that came last in it. */
interface Place {
  readonly shard: number;
  readonly after?: string;
}

async function list(table: Table, page: Parameters<PartitionStore["list"]>[0]): ReturnType<PartitionStore["list"]> {
  const partitions: Partition[] = [];
  let place: Place | undefined = decodePlace(page.cursor);
  for (let query = 0; query < QUERIES_PER_LIST && place !== undefined && partitions.length < page.limit; query++) {
    const { rows, next } = await readFrom(table, place, page.limit - partitions.length);
    const wanted = rows.filter(({ status }) => status !== "deleted" && (page.status === undefined || status === page.status));
    partitions.push(...wanted.map(toPartition));
    place = next;
  }
  return { partitions, ...(place === undefined ? {} : { cursor: encodeCursor(CURSOR, `${place.shard}/${place.after ?? ""}`) }) };
}

async function readFrom(table: Table, { shard, after }: Place, limit: number): Promise<{ rows: PartitionRow[]; next: Place | undefined }> {
  const pk = shardKey(shard);
  const from = after === undefined ? {} : { after: { pk, sk: after } };
  const { items, last } = await queryPage<PartitionRow>(table, { where: "pk = :pk", values: { ":pk": pk }, limit, ...from });
  return { rows: items, next: last === undefined ? following(shard) : { shard, after: last.sk } };
}

function following(shard: number): Place | undefined {
  return shard + 1 < LIMITS.partitionShards ? { shard: shard + 1 } : undefined;
}

/** @throws InvalidInput naming `cursor` */
function decodePlace(cursor: string | undefined): Place {
  const text = decodeCursor(CURSOR, cursor);
  if (text === undefined) return { shard: 0 };
  const [, shard = "", after = ""] = /^(\d{1,5})\/(.*)$/.exec(text) ?? [];
  if (shard === "" || Number(shard) >= LIMITS.partitionShards || (after !== "" && !PARTITION_PATTERN.test(after))) throw badCursor();
  return { shard: Number(shard), ...(after === "" ? {} : { after }) };
}
