import { describe, it } from "vitest";
import { everyWay, manyWays, PATIENCE } from "./search.ts";
import { CANCELLED_ANEW } from "./setup.ts";

const plain = { name: "A" } as const;
const keyed = { name: "A", queueKey: "q" } as const;

describe("a person's retry of a buried job", PATIENCE, () => {
  it("brings a plain job to an end", () =>
    everyWay("a retry", { jobs: [plain], tasks: 1, queued: true, budget: { burials: 1, revives: 1, crashes: 1 } }, 300));

  it("by two in the same instant lets one with a queue key run once at a time", () =>
    everyWay("two retries", { jobs: [keyed], tasks: 2, queued: true, budget: { burials: 1, revives: 2 } }, 300));

  it("is the later wish where it was cancelled before, and the earlier where it is cancelled after", () =>
    everyWay("a retry and a cancel", { jobs: [plain], tasks: 1, queued: true, budget: { burials: 1, revives: 1, cancels: 1 } }, 300));

  it("overrules every cancel that came before it, whichever of them a task knows of", () =>
    everyWay("a retry and two cancels", CANCELLED_ANEW, 2_500));

  it("survives all of it together", () =>
    manyWays(
      "people, everything",
      {
        jobs: [keyed, { name: "B", executionKey: "k" }, { name: "C", own: true, executionKey: "k" }],
        tasks: 2,
        budget: { burials: 2, revives: 3, cancels: 2, crashes: 1, losses: 1, failures: 1, copies: 1, jumps: 2, lives: 1, hours: 1 },
      },
      500,
    ));
});

describe("a purge", PATIENCE, () => {
  it("leaves no key, no place in a line and no message behind", () =>
    everyWay("a purge", { jobs: [{ ...keyed, executionKey: "k" }], tasks: 1, budget: { purges: 1, crashes: 1 } }, 300));

  it("survives all of it together, and takes nothing that comes after it", () =>
    manyWays(
      "purge, everything",
      {
        jobs: [keyed, { name: "B", executionKey: "k" }, { name: "C", own: true, executionKey: "k" }],
        tasks: 2,
        budget: { purges: 2, cancels: 1, crashes: 1, losses: 1, failures: 1, copies: 1, jumps: 2, lives: 1, hours: 1 },
      },
      500,
    ));
});
