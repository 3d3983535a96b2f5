import { describe, it } from "vitest";
import { everyWay, manyWays, PATIENCE } from "./search.ts";

const keyed = { name: "A", queueKey: "q", executionKey: "k" } as const;

describe("calls that don't arrive, and calls whose answer is lost", PATIENCE, () => {
  it("lose no job, and leave no key", () => everyWay("one call", { jobs: [keyed], tasks: 1, queued: true, budget: { errors: 1 } }, 300));

  it("tell of a cancel all the same", () =>
    everyWay("one call, one cancel", { jobs: [{ name: "A", own: true }], tasks: 1, queued: true, budget: { errors: 1, cancels: 1 } }, 300));

  it("survive all of it together", () =>
    manyWays(
      "outages, everything",
      {
        jobs: [keyed, { name: "B", executionKey: "k" }, { name: "C", own: true, executionKey: "k" }],
        tasks: 2,
        budget: { errors: 3, crashes: 1, failures: 1, cancels: 2, copies: 1, jumps: 2, burials: 1, revives: 1, lives: 1, hours: 1 },
      },
      600,
    ));

  it("survive a purge and long runs, too", () =>
    manyWays(
      "outages, purge and long runs",
      {
        jobs: [keyed, { name: "B", long: true, executionKey: "k" }, { name: "C", own: true, long: true }],
        tasks: 2,
        budget: { errors: 2, crashes: 1, failures: 1, cancels: 1, purges: 1, jumps: 2, lives: 1, hours: 1 },
      },
      400,
    ));
});
