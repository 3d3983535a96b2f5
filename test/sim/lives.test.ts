import { describe, it } from "vitest";
import { everyWay, manyWays, PATIENCE } from "./search.ts";

const own = { name: "A", own: true } as const;
const second = { lives: 1, hours: 1 } as const;
const HOUR_MS = 3_600_000;

describe("an id that is enqueued again: no life is taken for the other", PATIENCE, () => {
  it("meets a late copy of the first's message", () =>
    everyWay("a late copy", { jobs: [own], tasks: 1, queued: true, budget: { ...second, copies: 1 } }, 400));

  it("is cancelled in either life", () =>
    everyWay("a cancel in either life", { jobs: [own], tasks: 1, queued: true, budget: { ...second, cancels: 1 } }, 400));

  it("meets late copies, cancels, retries, crashes and lost connections of the first", () =>
    manyWays(
      "two lives, everything",
      {
        jobs: [own, { name: "B", executionKey: "k" }],
        tasks: 2,
        budget: { ...second, crashes: 1, losses: 1, failures: 1, cancels: 2, copies: 2, jumps: 2 },
      },
      600,
    ));

  for (const [what, skewMs] of [
    ["ahead, then behind", [HOUR_MS / 2 - 1, 1 - HOUR_MS / 2]],
    ["behind, then ahead", [1 - HOUR_MS / 2, HOUR_MS / 2 - 1]],
  ] as const) {
    it(`is hit by its own cancel only, with clocks that are ${what}`, () =>
      manyWays(
        what,
        { jobs: [{ ...own, executionKey: "k" }], tasks: 2, skewMs, budget: { ...second, cancels: 2, copies: 1, failures: 1, jumps: 1 } },
        400,
      ));
  }

  it("has three lives, with an execution key that another waits for", () =>
    manyWays(
      "three lives",
      {
        jobs: [
          { ...own, executionKey: "k" },
          { name: "B", executionKey: "k" },
        ],
        tasks: 2,
        budget: { lives: 2, hours: 3, crashes: 1, failures: 2, cancels: 2, copies: 2, burials: 1, revives: 1, jumps: 2 },
      },
      400,
    ));
});
