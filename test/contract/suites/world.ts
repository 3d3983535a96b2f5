import { applyCommand, type Command } from "../../../core/partition/commands.ts";
import type { Partition, Pools } from "../../../core/partition/partition.ts";
import type { PartitionStore } from "../../../core/partition/partition-store.ts";
import { type VirtualClock, virtualClock } from "../../../testing/clock.ts";

/** A clock that stands still until it is moved. */
export type TestClock = VirtualClock;
export const testClock = virtualClock;

/** Makes a store of one kind, empty, with the clock that it goes by. */
export type Make<S> = () => Promise<{ readonly store: S; readonly clock: TestClock }>;

/** Reads, decides, writes, and does so again when another command came first: what the API does. */
export async function command(store: PartitionStore, id: string, what: Command): Promise<Partition> {
  for (let round = 0; round < 50; round++) {
    const before = await store.get(id);
    const after = applyCommand(id, before, what);
    if (after === before) return after;
    const written = await store.commit(before, after);
    if (written !== undefined) return written;
  }
  throw new Error(`${what.type} of ${id}: refused 50 times`);
}

export function start(store: PartitionStore, id: string, pools: Pools): Promise<Partition> {
  return command(store, id, { type: "start", pools });
}

/** Follows cursors to the end. */
export async function allPages<T>(
  read: (cursor: string | undefined) => Promise<{ readonly items: readonly T[]; readonly cursor?: string }>,
): Promise<T[][]> {
  const pages: T[][] = [];
  let cursor: string | undefined;
  for (let page = 0; page < 1_000; page++) {
    const answer = await read(cursor);
    pages.push([...answer.items]);
    cursor = answer.cursor;
    if (cursor === undefined) return pages;
  }
  throw new Error("a list without an end");
}
