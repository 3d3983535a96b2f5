import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyCommand } from "../../core/partition/commands.ts";
import { neededTasks, nextScale, QUIET_PASSES } from "../../core/partition/desired-tasks.ts";
import { maxWorkersOf, type Partition } from "../../core/partition/partition.ts";
import { type ShareTask, targetShares } from "../../core/partition/shares.ts";

const partition = (maxWorkers: number, id = "acme"): Partition =>
  applyCommand(id, undefined, { type: "start", pools: { default: { default: maxWorkers } } });
const tasks = (count: number, slots = 100) => Array.from({ length: count }, (_, i) => ({ boot: `task-${i}`, slots }));
const sharesOf = (row: Partition, among: readonly ShareTask[], queue = "default") =>
  targetShares({ partition: row, pool: "default", queue, tasks: among });
const sum = (shares: Map<string, number>) => [...shares.values()].reduce((a, b) => a + b, 0);

describe("targetShares", () => {
  it("shares out the whole of max_workers and no more, over no more tasks than are useful", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 40 }), fc.string(), (maxWorkers, count, salt) => {
        const shares = sharesOf({ ...partition(maxWorkers), id: salt }, tasks(count, 1_000));
        expect(sum(shares)).toBe(maxWorkers);
        expect(shares.size).toBe(Math.min(maxWorkers, count, Math.max(2, Math.ceil(maxWorkers / 8))));
        expect(Math.max(...shares.values()) - Math.min(...shares.values())).toBeLessThanOrEqual(1);
      }),
    );
  });

  it("gives no task more than its slots, and spreads far enough for small tasks", () => {
    const shares = sharesOf(partition(20), tasks(30, 2));
    expect(sum(shares)).toBe(20);
    expect(Math.max(...shares.values())).toBe(2);
  });

  it("moves little when a task leaves: others keep at least what they had", () => {
    for (let p = 0; p < 50; p++) {
      const all = tasks(6);
      const before = sharesOf(partition(4, `p${p}`), all);
      const gone = all[p % 6]?.boot as string;
      const after = sharesOf(
        partition(4, `p${p}`),
        all.filter(({ boot }) => boot !== gone),
      );
      for (const [boot, share] of before) if (boot !== gone) expect(after.get(boot) ?? 0).toBeGreaterThanOrEqual(share);
    }
  });

  it("gives nothing of a queue that is paused, unlisted, at 0, or of a partition that is not running", () => {
    const row = partition(5);
    const one = tasks(1);
    expect(sharesOf({ ...row, paused: ["default"] }, one).size).toBe(0);
    expect(sharesOf(row, one, "mail").size).toBe(0);
    // A lawful name that every object answers to.
    expect(sharesOf(row, one, "constructor").size).toBe(0);
    expect(maxWorkersOf(row, "default", "constructor")).toBeUndefined();
    expect(targetShares({ partition: row, pool: "constructor", queue: "name", tasks: one }).size).toBe(0);
    expect(targetShares({ partition: row, pool: "big", queue: "default", tasks: one }).size).toBe(0);
    expect(sharesOf(partition(0), one).size).toBe(0);
    for (const status of ["draining", "stopped", "deleting", "deleted"] as const) {
      expect(sharesOf({ ...row, status }, one).size).toBe(0);
    }
  });
});

describe("neededTasks", () => {
  const bounds = { pool: "default", slots: 10, min: 0, max: 20 };
  const full = () => undefined;
  const idle = () => ({ ready: 0, running: 0 });

  it("takes an unknown backlog for a full one", () => {
    expect(neededTasks(bounds, [partition(25)], full)).toBe(3);
  });

  it("needs no more than the backlog does", () => {
    expect(neededTasks(bounds, [partition(25)], () => ({ ready: 5, running: 6 }))).toBe(2);
  });

  it("keeps one task as long as a partition runs, none when none does", () => {
    expect(neededTasks(bounds, [partition(25)], idle)).toBe(1);
    expect(neededTasks(bounds, [{ ...partition(25), status: "stopped" }], full)).toBe(0);
    expect(neededTasks(bounds, [{ ...partition(25), status: "stopped", held: { "default/default": 1 } }], full)).toBe(1);
    expect(neededTasks({ ...bounds, pool: "big" }, [partition(25)], full)).toBe(0);
  });

  it("counts nothing for paused queues, and stays within min and max", () => {
    expect(neededTasks(bounds, [{ ...partition(25), paused: ["default"] }], full)).toBe(1);
    expect(neededTasks({ ...bounds, max: 2 }, [partition(250)], full)).toBe(2);
    expect(neededTasks({ ...bounds, min: 2 }, [], full)).toBe(2);
  });
});

describe("nextScale", () => {
  it("goes out at once, in only after quiet passes and by a quarter at most", () => {
    expect(nextScale({ desired: 2, quietPasses: 3 }, 9)).toEqual({ desired: 9, quietPasses: 0 });
    let state = { desired: 8, quietPasses: 0 };
    for (let pass = 1; pass < QUIET_PASSES; pass++) {
      state = nextScale(state, 0);
      expect(state).toEqual({ desired: 8, quietPasses: pass });
    }
    const seen: number[] = [];
    while (state.desired > 0) {
      state = nextScale(state, 0);
      seen.push(state.desired);
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0]);
  });
});
