import { hash32 } from "../core/contract/hash.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { DUE_INDEX } from "../core/contract/table.ts";
import { type Key, queryPage, type Table } from "./items.ts";

/** Where the due index keeps an item; follows from what names it, so that the shares are even. */
export function dueKey(name: string): string {
  return shardKey(hash32(name) % LIMITS.dueShards);
}

/** The keys of what is due in one share of the index, oldest first. It may lag behind the items. */
export async function dueKeys(table: Table, shard: number, now: number, limit: number): Promise<Key[]> {
  const { items } = await queryPage<Key>(table, {
    index: DUE_INDEX,
    where: "due_pk = :shard AND due <= :now",
    values: { ":shard": shardKey(shard), ":now": now },
    limit,
    consistent: false,
  });
  return items;
}

function shardKey(shard: number): string {
  return `DUE#${shard}`;
}
