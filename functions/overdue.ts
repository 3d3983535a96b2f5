import { DUE_SHARDS } from "../core/job/due-shard.ts";
import type { ParkedStore } from "../core/job/parked.ts";

/** What is asked for, one after the other: a minute to a day. */
const AGES_MS = [60_000, 5 * 60_000, 15 * 60_000, 3_600_000, 24 * 3_600_000];

/**
 * How long the oldest parked job has been due, at least; 0 when it is less than a minute. A query of one item for each
 * group of the due index as long as there are none, and as many again for each age that is reached.
 * @returns ms, one of a few ages
 */
export async function overdueMs(parked: Pick<ParkedStore, "due">, now: number): Promise<number> {
  let overdue = 0;
  for (const age of AGES_MS) {
    const late = await Promise.all(DUE_SHARDS.map((shard) => parked.due(shard, now - age, 1)));
    if (late.every((refs) => refs.length === 0)) break;
    overdue = age;
  }
  return overdue;
}
