import type { QueueKey } from "../core/contract/names.ts";
import { type Partition, shardOf } from "../core/partition/partition.ts";
import { isExpired, type Key, readItem, type Table } from "./items.ts";

/**
 * A partition's item. Four writers, none of which touches what another owns:
 *
 * | attributes | moved by | under |
 * |---|---|---|
 * | status, pools, paused, revision, rev | commands (partitions.ts) | `revision` as read |
 * | cancel_seq | cancels (partitions.ts), by difference | the row is there |
 * | held, shares, total_held | tasks and evictors (shares.ts), together and by difference | the share as read, and no earlier move of it |
 * | status, settled, expires | whoever finds that nothing is held (partitions.ts) | `revision`, status and `total_held = 0` |
 *
 * `total_held` is the sum of `held`, so that "nothing is held" is one comparison however many queues there were.
 * `rev` is the last command's own mark and `settled` the last settler's: neither is moved by the other, nor by shares.
 */
export interface PartitionRow extends Key, Omit<Partition, "id" | "cancelSeq" | "shares"> {
  readonly shares: { readonly [key: QueueKey]: { readonly [task: string]: ShareEntry } };
  readonly cancel_seq?: number;
  readonly total_held: number;
  readonly rev: string;
  readonly settled?: string;
  /** Epoch seconds; only a tombstone has it. */
  readonly expires?: number;
}

/** One task's share, and the number of the move that left it so, by its task's own count. */
export interface ShareEntry {
  readonly n: number;
  readonly move: number;
}

/** A tombstone keeps its revision for 7 days: longer than anything remembers having read the row before. */
export const TOMBSTONE_MS = 7 * 24 * 3600 * 1000;

export function shardKey(shard: number): string {
  return `PARTITIONS#${shard}`;
}

export function rowKey(id: string): Key {
  return { pk: shardKey(shardOf(id)), sk: id };
}

export function toPartition(row: PartitionRow): Partition {
  const { sk, status, revision, pools, paused, held, shares, cancel_seq = 0 } = row;
  return {
    id: sk,
    status,
    revision,
    pools,
    paused,
    held,
    shares: mapValues(shares, (byTask) => mapValues(byTask, ({ n }) => n)),
    cancelSeq: cancel_seq,
  };
}

function mapValues<A, B>(entries: { readonly [key: string]: A }, to: (value: A) => B): { readonly [key: string]: B } {
  return Object.fromEntries(Object.entries(entries).map(([key, value]) => [key, to(value)]));
}

/** A tombstone whose days are over counts as absent, whether or not DynamoDB has removed it. */
export function isThere(table: Table, row: PartitionRow): boolean {
  return !isExpired(row, table.clock.now());
}

export async function getPartition(table: Table, id: string): Promise<Partition | undefined> {
  const row = await readItem<PartitionRow>(table, rowKey(id));
  return row !== undefined && isThere(table, row) ? toPartition(row) : undefined;
}
