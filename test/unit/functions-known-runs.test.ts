import { describe, expect, it } from "vitest";
import type { TaskLease } from "../../core/partition/task-store.ts";
import { KnownRuns } from "../../functions/known-runs.ts";
import { virtualClock } from "../../testing/clock.ts";
import { lease } from "../api-world.ts";

const clock = virtualClock();
const holder = { run: "t1/1", task: "t1" };

async function ended(change: Partial<TaskLease> | undefined): Promise<boolean> {
  const leases = change === undefined ? [lease()] : [lease(), lease({ boot: "t1", ...change })];
  return new KnownRuns({ leases: async () => leases }, clock).ended(holder);
}

describe("what a Lambda knows of runs", () => {
  it.each([
    { task: "alive", change: {}, expected: false },
    { task: "draining", change: { draining: true }, expected: false },
    { task: "declared dead just now", change: { dead: true, deadAt: clock.now() }, expected: false },
    { task: "declared dead by a clock that is ahead", change: { dead: true, deadAt: clock.now() + 60_000 }, expected: false },
    { task: "dead for 5 s", change: { dead: true, deadAt: clock.now() - 5_000 }, expected: false },
    { task: "dead for longer", change: { dead: true, deadAt: clock.now() - 5_001 }, expected: true },
    { task: "dead since nobody knows when", change: { dead: true }, expected: false },
    { task: "without a lease", change: undefined, expected: true },
  ])("that of a task that is $task has ended: $expected", async ({ change, expected }) => {
    expect(await ended(change)).toBe(expected);
  });
});
