import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { dueShard } from "../../core/job/due-shard.ts";
import type { Due, NewParkedJob } from "../../core/job/parked.ts";
import { virtualClock } from "../../testing/clock.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { dueName, inTurns, lookAt } from "../../worker/due-look.ts";

const job = (partition: string, id: number | string, at = 0): Due => ({ kind: "parked", ref: { partition, id: String(id) }, at });
const told = (due: readonly Due[]): string[] => due.map(dueName);

describe("partitions in turn", () => {
  it("have one job each, their own oldest first", () => {
    const due = [job("a", 1, 1), job("a", 2, 2), job("a", 3, 3), job("b", 1, 9), job("c", 2, 8), job("c", 1, 4)];
    expect(told(inTurns(due))).toEqual(["a/1", "c/1", "b/1", "a/2", "c/2", "a/3"]);
  });

  it("go on where the last turns ended: who had none goes first", () => {
    const due = [job("a", 1, 1), job("b", 1, 2), job("c", 1, 3), job("d", 1, 4)];
    const lastTurn = new Map([
      ["a", 7],
      ["b", 5],
    ]);
    expect(told(inTurns(due, lastTurn))).toEqual(["c/1", "d/1", "b/1", "a/1"]);
  });

  it("tell a parked job from a queue key of the same name", () => {
    expect(dueName(job("a", "x"))).not.toBe(dueName({ kind: "queue_key", ref: { partition: "a", hash: "x" } }));
  });

  const anyDue = fc
    .array(fc.record({ partition: fc.constantFrom("a", "b", "c", "d", "e"), at: fc.nat({ max: 50 }) }), { maxLength: 200 })
    .map((all) => all.map(({ partition, at }, i) => job(partition, i, at)));
  const anyTurns = fc.dictionary(fc.constantFrom("a", "b", "c", "d", "e"), fc.nat()).map((turns) => new Map(Object.entries(turns)));

  it("lose no job and make none", () => {
    fc.assert(
      fc.property(anyDue, anyTurns, (due, turns) => {
        expect(told(inTurns(due, turns)).sort()).toEqual(told(due).sort());
      }),
    );
  });

  it("never let one partition have two jobs more than another that still waits", () => {
    fc.assert(
      fc.property(anyDue, anyTurns, (due, turns) => {
        const left = new Map<string, number>();
        for (const { ref } of due) left.set(ref.partition, (left.get(ref.partition) ?? 0) + 1);
        const had = new Map<string, number>();
        for (const { ref } of inTurns(due, turns)) {
          had.set(ref.partition, (had.get(ref.partition) ?? 0) + 1);
          left.set(ref.partition, (left.get(ref.partition) ?? 0) - 1);
          const waiting = [...left].filter(([, count]) => count > 0).map(([partition]) => had.get(partition) ?? 0);
          expect(Math.max(...had.values()) - Math.min(...waiting, Number.POSITIVE_INFINITY)).toBeLessThanOrEqual(1);
        }
      }),
    );
  });

  it("keep each partition's own order", () => {
    fc.assert(
      fc.property(anyDue, anyTurns, (due, turns) => {
        const last = new Map<string, number>();
        for (const { ref, at } of inTurns(due, turns)) {
          expect(at).toBeGreaterThanOrEqual(last.get(ref.partition) ?? 0);
          last.set(ref.partition, at);
        }
      }),
    );
  });
});

describe("a look at one key of the index", () => {
  const SHARD = dueShard("flood", "job-0");

  async function parkedWith(count: number) {
    const clock = virtualClock();
    const { parked } = memoryStore({ clock });
    const ends: string[] = [];
    const due: typeof parked.due = (shard, now, limit, from = "oldest") => {
      ends.push(from);
      return parked.due(shard, now, limit, from);
    };
    const ids = Array.from({ length: 3 * count }, (_, i) => `job-${i}`)
      .filter((id) => dueShard("flood", id) === SHARD)
      .slice(0, count);
    for (const [i, id] of ids.entries()) await parked.park(flood(id, clock.now() + i));
    clock.advance(count);
    return { ids, ends, look: () => lookAt({ due }, SHARD, clock.now()) };
  }

  const flood = (id: string, due: number): NewParkedJob => ({
    ...{ partition: "flood", id, enqueuedAt: 1, name: "n", queue: "mail", attempt: 1, reason: "outbox", body: "{}" },
    due,
    since: due,
  });
  const idsOf = (due: readonly Due[]) => due.map(({ ref }) => ("id" in ref ? ref.id : ref.hash));

  it("reads one end when that is all there is", async () => {
    const { ids, ends, look } = await parkedWith(999);
    const { due, full } = await look();
    expect(idsOf(due)).toEqual(ids);
    expect({ full, ends }).toEqual({ full: false, ends: ["oldest"] });
  });

  it("reads both ends of a flood, each job once", async () => {
    const { ids, ends, look } = await parkedWith(1_500);
    const { due, full } = await look();
    expect(idsOf(due).sort()).toEqual([...ids].sort());
    expect({ full, ends }).toEqual({ full: true, ends: ["oldest", "newest"] });
  });

  it("leaves out only the middle of a larger one", async () => {
    const { ids, look } = await parkedWith(3_000);
    const { due } = await look();
    expect(idsOf(due)).toEqual([...ids.slice(0, 1_000), ...ids.slice(2_000).reverse()]);
  });
});
