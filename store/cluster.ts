import { LIMITS } from "../core/contract/limits.ts";
import type { ClusterVersion } from "../core/partition/partition-store.ts";
import { type Key, readItem, type Table, updateItem } from "./items.ts";

/** `version`, and a flat counter per group of partitions, `s0` … `s63`: one ADD moves both. */
type ClusterItem = Key & Readonly<Record<string, number | string>>;

const CLUSTER: Key = { pk: "CLUSTER", sk: "CLUSTER" };

/**
 * Says that something in these groups of partitions changes. A bump that is counted twice, because its reply was lost, makes
 * workers look once more than needed; so it has no condition and needs no reading back.
 * @throws StoreUnavailable
 */
export async function bump(table: Table, ...shards: readonly number[]): Promise<void> {
  const names = Object.fromEntries(shards.map((shard) => [`#s${shard}`, `s${shard}`]));
  const counters = shards.map((shard) => `, #s${shard} :one`).join("");
  await updateItem(table, CLUSTER, { update: `ADD version :one${counters}`, names, values: { ":one": 1 } });
}

/** Strongly consistent: whoever waits for a command to be applied asks for the counters that it left behind. */
export async function readVersion(table: Table): Promise<ClusterVersion> {
  const item = await readItem<ClusterItem>(table, CLUSTER);
  return {
    version: Number(item?.version ?? 0),
    shards: Array.from({ length: LIMITS.partitionShards }, (_, shard) => Number(item?.[`s${shard}`] ?? 0)),
  };
}
