import { DUE_INDEX } from "../core/contract/table.ts";
import { dueShard } from "../core/job/due-shard.ts";
import type { DueEnd } from "../core/job/parked.ts";
import { type Key, queryPage, type Table } from "./items.ts";

/** What the index shows of an item. */
export interface DueKey extends Key {
  readonly due: number;
}

/** Where the due index keeps an item; follows from its partition and what names it there. */
export function dueKey(partition: string, name: string): string {
  return shardKey(dueShard(partition, name));
}

/** The keys of what is due in one share of the index, from that end on. It may lag behind the items. */
export async function dueKeys(
  table: Table,
  shard: number,
  { now, limit, from }: { readonly now: number; readonly limit: number; readonly from: DueEnd },
): Promise<DueKey[]> {
  const { items } = await queryPage<DueKey>(table, {
    index: DUE_INDEX,
    where: "due_pk = :shard AND due <= :now",
    values: { ":shard": shardKey(shard), ":now": now },
    limit,
    backwards: from === "newest",
    consistent: false,
  });
  return items;
}

function shardKey(shard: number): string {
  return `DUE#${shard}`;
}
