import { describe, expect, it } from "vitest";
import { applyCommand } from "../../core/partition/commands.ts";
import { type Partition, shardOf } from "../../core/partition/partition.ts";
import type { PartitionStore } from "../../core/partition/partition-store.ts";
import { Evictor } from "../../worker/evictor.ts";
import type { PartitionWatch } from "../../worker/partition-watch.ts";
import type { Roster } from "../../worker/roster.ts";

const KEY = "default/default";

/** Rows in memory; each eviction takes a turn of the event loop, so that those under way together can be counted. */
function setUp(options: { readonly dead?: readonly string[]; readonly known?: readonly string[]; readonly present?: readonly string[] } = {}) {
  const { dead = ["dead"], known = ["dead", "alive"], present = known } = options;
  const rows = new Map<string, Partition>();
  const evicted: string[] = [];
  const settled: string[] = [];
  let under = 0;
  let most = 0;
  let reads = 0;
  const partitions: Partial<PartitionStore> = {
    async evictShare(id, key, boot, share) {
      under += 1;
      most = Math.max(most, under);
      await new Promise((resolve) => setImmediate(resolve));
      under -= 1;
      const row = rows.get(id) as Partition;
      const { [boot]: held, ...others } = row.shares[key] ?? {};
      if (held !== share) return false;
      evicted.push(`${id} ${boot}`);
      rows.set(id, { ...row, held: { ...row.held, [key]: (row.held[key] ?? 0) - share }, shares: { ...row.shares, [key]: others } });
      return true;
    },
    settleDrained: async ({ id }) => {
      settled.push(id);
      return true;
    },
    readShard: async (shard) => [...rows.values()].filter(({ id }) => shardOf(id) === shard),
  };
  const evictor = new Evictor({
    roster: {
      takeable: () => [...dead],
      knows: (boot: string) => known.includes(boot),
      present: async () => new Set(present),
      owns: () => true,
    } as unknown as Roster,
    watch: {
      refresh: async (id: string) => {
        reads += 1;
        return rows.get(id);
      },
    } as unknown as PartitionWatch,
    partitions: partitions as PartitionStore,
    emit: () => undefined,
    pauseMs: 10,
  });
  const hold = (id: string, shares: Record<string, number>, status: Partition["status"] = "running"): Partition => {
    const started = applyCommand(id, undefined, { type: "start", pools: { default: { default: 10 } } });
    const held = Object.values(shares).reduce((a, b) => a + b, 0);
    const row: Partition = { ...started, status, held: { [KEY]: held }, shares: { [KEY]: shares } };
    rows.set(id, row);
    return row;
  };
  return { evictor, hold, rows, evicted, settled, most: () => most, reads: () => reads };
}

describe("Evictor", () => {
  it("takes a dead task's shares side by side, no more than 16 at once, and reads no row again for it", async () => {
    const { evictor, hold, rows, evicted, most, reads } = setUp();
    const seen = Array.from({ length: 200 }, (_, i) => hold(`p${i}`, { dead: 2, alive: 1 }));
    await evictor.inspect(seen);
    expect(evicted).toHaveLength(200);
    expect(most()).toBe(16);
    expect(reads()).toBe(0);
    for (const row of rows.values()) expect(row.held[KEY]).toBe(1);
  });

  it("lets a draining partition end once nothing of it is held, after one more look at each", async () => {
    const { evictor, hold, settled, reads } = setUp({ dead: ["dead", "gone"], known: ["dead", "gone", "alive"] });
    await evictor.inspect([hold("ends", { dead: 2, gone: 1 }, "draining"), hold("goes-on", { dead: 2, alive: 1 }, "draining")]);
    expect(settled).toEqual(["ends"]);
    expect(reads()).toBe(2);
  });

  it("settles one that is found with nothing held, without a read", async () => {
    const { evictor, hold, settled, reads } = setUp();
    await evictor.inspect([hold("idle", {}, "draining")]);
    expect([settled, reads()]).toEqual([["idle"], 0]);
  });

  it("never takes what a task holds that has come since the last look at the leases", async () => {
    const { evictor, hold, evicted } = setUp({ known: ["dead"], present: ["dead", "new"] });
    await evictor.inspect([hold("p", { new: 3, dead: 1 })]);
    expect(evicted).toEqual(["p dead"]);
  });

  it("takes what a task holds that has no lease at all", async () => {
    const { evictor, hold, evicted } = setUp({ dead: [], known: ["alive"], present: ["alive"] });
    await evictor.inspect([hold("p", { vanished: 3, alive: 1 })]);
    expect(evicted).toEqual(["p vanished"]);
  });

  it("leaves a share alone that is not what was seen any more", async () => {
    const { evictor, hold, rows, evicted } = setUp();
    const seen = hold("p", { dead: 2 });
    rows.set("p", { ...seen, held: { [KEY]: 1 }, shares: { [KEY]: { dead: 1 } } });
    await evictor.inspect([seen]);
    expect(evicted).toEqual([]);
  });
});
