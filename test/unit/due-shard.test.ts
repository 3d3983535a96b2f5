import { describe, expect, it } from "vitest";
import { LIMITS } from "../../core/contract/limits.ts";
import { dueShard, dueShardsOf } from "../../core/job/due-shard.ts";

const PARTITIONS = Array.from({ length: 4_000 }, (_, i) => `tenant-${i}`);

function counted(shards: readonly number[]): number[] {
  const counts = new Array<number>(LIMITS.dueShards).fill(0);
  for (const shard of shards) counts[shard] = (counts[shard] ?? 0) + 1;
  return counts;
}

describe("the keys of the due index", () => {
  it("are two for each partition, and different ones", () => {
    for (const partition of PARTITIONS) {
      const [one, other] = dueShardsOf(partition);
      expect(one).not.toBe(other);
      const used = new Set(Array.from({ length: 40 }, (_, i) => dueShard(partition, `job-${i}`)));
      expect([...used].sort()).toEqual([one, other].sort());
    }
  });

  it("are used evenly, by partitions and by one partition's jobs", () => {
    const even = (2 * PARTITIONS.length) / LIMITS.dueShards;
    for (const count of counted(PARTITIONS.flatMap(dueShardsOf))) expect(Math.abs(count - even) / even).toBeLessThan(0.2);
    const halves = counted(Array.from({ length: 2_000 }, (_, i) => dueShard("acme", `job-${i}`))).filter((count) => count > 0);
    expect(Math.min(...halves)).toBeGreaterThan(900);
  });

  it("are both the same for one pair of partitions in 120, and one of them for about a quarter", () => {
    const mine = new Set(dueShardsOf("acme"));
    const shared = PARTITIONS.map((partition) => dueShardsOf(partition).filter((shard) => mine.has(shard)).length);
    const share = (n: number) => shared.filter((count) => count === n).length / PARTITIONS.length;
    expect(share(2)).toBeLessThan(2 / 120);
    expect(share(1)).toBeGreaterThan(0.18);
    expect(share(1)).toBeLessThan(0.29);
  });

  it("never move: what lies in a live table is looked for there", () => {
    expect(["acme", "globex", "a.b-c"].map(dueShardsOf)).toEqual([
      [14, 0],
      [9, 14],
      [9, 3],
    ]);
    expect(["0192f3a4", "0192f3a7"].map((job) => dueShard("acme", job))).toEqual([14, 0]);
  });
});
