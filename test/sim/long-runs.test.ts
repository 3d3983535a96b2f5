import { describe, it } from "vitest";
import { everyWay, manyWays, PATIENCE } from "./search.ts";

const long = { name: "A", long: true } as const;

describe("a job that has moved from its message to a parked item", PATIENCE, () => {
  it("comes to its end though its process dies at any step", () =>
    everyWay("a long run, one crash", { jobs: [long], tasks: 1, queued: true, budget: { crashes: 1 } }, 300));

  it("is cancelled, fails or is buried like any other", () =>
    everyWay("a long run, cancelled", { jobs: [long], tasks: 1, queued: true, budget: { cancels: 1, failures: 1, burials: 1 } }, 300));

  it("survives all of it together, with keys", () =>
    manyWays(
      "long runs, everything",
      {
        jobs: [
          { name: "A", long: true, queueKey: "q", executionKey: "k" },
          { name: "B", long: true, own: true },
          { name: "C", executionKey: "k" },
        ],
        tasks: 2,
        budget: { crashes: 2, losses: 1, failures: 1, cancels: 2, copies: 1, burials: 1, revives: 1, jumps: 2, lives: 1, hours: 1 },
      },
      500,
    ));
});
