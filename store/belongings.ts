import type { Belonging, Belongings } from "../core/partition/belongings.ts";
import { deleteItem, type Key, queryPage, type Table } from "./items.ts";

/**
 * Under which `pk`s they lie, in the order in which they go. n.b. keys before parked jobs: a pump parks what it finds in
 * a key.
 */
const PREFIXES: Readonly<Record<Belonging, readonly string[]>> = {
  waiting: ["KEY#", "PARKED#"],
  rest: ["BURIED#", "LOCK#", "CANCELS#", "CANCELSLOTS#", "SUSPECT#", "FORMER#"],
};

export function belongings(table: Table): Belongings {
  return { removeSome: (partition, what, limit) => removeSome(table, partition, what, limit) };
}

async function removeSome(table: Table, partition: string, what: Belonging, limit: number): Promise<boolean> {
  for (const prefix of PREFIXES[what]) {
    const { items } = await queryPage<Key>(table, { where: "pk = :pk", values: { ":pk": `${prefix}${partition}` }, limit, fields: "pk, sk" });
    if (items.length === 0) continue;
    await Promise.all(items.map((key) => deleteItem(table, key)));
    return true;
  }
  return false;
}
