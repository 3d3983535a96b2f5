import { hash32 } from "../contract/hash.ts";
import { LIMITS } from "../contract/limits.ts";

/** All keys of the due index, by number. */
export const DUE_SHARDS: readonly number[] = Array.from({ length: LIMITS.dueShards }, (_, shard) => shard);

/**
 * The key of the due index that an item lies at: one of the two that its partition has, by the item's name. Two tenants
 * share both of theirs once in 120 pairs, so a flood that one key can't take is felt at two keys of sixteen, and by
 * nearly every other tenant for half of its jobs at most.
 * @param name job id, or hash of a queue key
 */
export function dueShard(partition: string, name: string): number {
  const [one, other] = dueShardsOf(partition);
  return hash32(name) % 2 === 0 ? one : other;
}

/** The two keys of the due index that hold what a partition has parked; always two different ones. */
export function dueShardsOf(partition: string): readonly [number, number] {
  const one = hash32(`due/${partition}`) % LIMITS.dueShards;
  const apart = 1 + (hash32(`due too/${partition}`) % (LIMITS.dueShards - 1));
  return [one, (one + apart) % LIMITS.dueShards];
}
