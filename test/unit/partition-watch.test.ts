import { beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_TIMINGS, LIMITS } from "../../core/contract/limits.ts";
import { applyCommand } from "../../core/partition/commands.ts";
import { type Partition, shardOf } from "../../core/partition/partition.ts";
import type { PartitionStore } from "../../core/partition/partition-store.ts";
import { virtualClock } from "../../testing/clock.ts";
import { PartitionWatch } from "../../worker/partition-watch.ts";

const POOLS = { default: { default: 2 } };
const SHARD = shardOf("acme");
const first = applyCommand("acme", undefined, { type: "start", pools: POOLS });

let rows: Partition[];
let changes: (string | undefined)[];
let watch: PartitionWatch;
beforeEach(() => {
  rows = [];
  changes = [];
  const partitions: Partial<PartitionStore> = {
    readShard: async (shard) => rows.filter(({ id }) => shardOf(id) === shard),
    get: async (id) => rows.find((row) => row.id === id),
    readVersion: async () => ({ version: 1, shards: Array.from({ length: LIMITS.partitionShards }, () => 1) }),
  };
  watch = new PartitionWatch({
    partitions: partitions as PartitionStore,
    clock: virtualClock(),
    timings: DEFAULT_TIMINGS,
    emit: () => undefined,
    onChange: (_, row) => void changes.push(row && `${row.status} ${row.revision}`),
    onShardRead: () => undefined,
  });
});

describe("PartitionWatch", () => {
  it("takes in a partition's next life, which begins at revision 1 once the tombstone's days are over", async () => {
    rows = [{ ...first, revision: 9 }];
    await watch.readShard(SHARD);
    rows = [{ ...first, status: "deleted", revision: 11, pools: {}, held: {}, shares: {} }];
    await watch.readShard(SHARD);
    rows = [first];
    await watch.readShard(SHARD);
    expect(changes).toEqual(["running 9", "deleted 11", "running 1"]);
    expect(watch.get("acme")).toEqual(first);
  });

  it("takes it in from a read of the row, too", async () => {
    rows = [{ ...first, status: "deleted", revision: 11 }];
    await watch.readShard(SHARD);
    rows = [first];
    expect(await watch.refresh("acme")).toEqual(first);
    expect(changes).toEqual(["deleted 11", "running 1"]);
  });

  it("takes in the next life though it never saw the tombstone, once the row itself was gone in between", async () => {
    rows = [{ ...first, revision: 9 }];
    await watch.readShard(SHARD);
    rows = [];
    await watch.readShard(SHARD);
    rows = [first];
    await watch.readShard(SHARD);
    expect(changes).toEqual(["running 9", undefined, "running 1"]);
  });

  it("leaves an answer alone that comes after a newer one", async () => {
    rows = [{ ...first, revision: 9 }];
    await watch.readShard(SHARD);
    watch.accept(first);
    rows = [{ ...first, revision: 8 }];
    await watch.readShard(SHARD);
    expect(watch.get("acme")?.revision).toBe(9);
    expect(changes).toEqual(["running 9"]);
  });

  it("tells of shares that moved, though no command did", async () => {
    rows = [first];
    await watch.readShard(SHARD);
    await watch.readShard(SHARD);
    rows = [{ ...first, held: { "default/default": 1 }, shares: { "default/default": { other: 1 } } }];
    await watch.readShard(SHARD);
    expect(changes).toEqual(["running 1", "running 1"]);
  });
});
