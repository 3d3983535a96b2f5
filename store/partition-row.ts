import { type Partition, shardOf } from "../core/partition/partition.ts";
import { isExpired, type Key, readItem, type Table } from "./items.ts";

/**
 * A partition's item. Four writers, none of which touches what another owns:
 *
 * | attributes | moved by | under |
 * |---|---|---|
 * | status, pools, paused, revision, rev | commands (partitions.ts) | `revision` as read |
 * | cancel_seq | cancels (partitions.ts), by difference | the row is there |
 * | held, shares, total_held | tasks and evictors (shares.ts), together and by difference | the share as read |
 * | status, settled, expires | whoever finds that nothing is held (partitions.ts) | `revision`, status and `total_held = 0` |
 *
 * `total_held` is the sum of `held`, so that "nothing is held" is one comparison however many queues there were.
 * `rev` is the last command's own mark and `settled` the last settler's: neither is moved by the other, nor by shares.
 */
export interface PartitionRow extends Key, Omit<Partition, "id" | "cancelSeq"> {
  readonly cancel_seq?: number;
  readonly total_held: number;
  readonly rev: string;
  readonly settled?: string;
  /** Epoch seconds; only a tombstone has it. */
  readonly expires?: number;
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
  return { id: sk, status, revision, pools, paused, held, shares, cancelSeq: cancel_seq };
}

/** A tombstone whose days are over counts as absent, whether or not DynamoDB has removed it. */
export function isThere(table: Table, row: PartitionRow): boolean {
  return !isExpired(row, table.clock.now());
}

export async function getPartition(table: Table, id: string): Promise<Partition | undefined> {
  const row = await readItem<PartitionRow>(table, rowKey(id));
  return row !== undefined && isThere(table, row) ? toPartition(row) : undefined;
}
