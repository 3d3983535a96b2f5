import { describe, it } from "vitest";
import { manyWays, PATIENCE } from "./search.ts";

const killer = "A";

describe("a job that kills its process each time is buried, whatever keys it has; its neighbours end", PATIENCE, () => {
  for (const [what, keys] of [
    ["no key", {}],
    ["a queue key", { queueKey: "a" }],
    ["an execution key", { executionKey: "k" }],
    ["both keys", { queueKey: "a", executionKey: "k" }],
  ] as const) {
    it(`with ${what}`, () =>
      manyWays(
        `a killer with ${what}`,
        { jobs: [{ name: killer, ...keys }, { name: "B", executionKey: "k" }, { name: "C" }], tasks: 2, slots: 3, killer, budget: { jumps: 2 } },
        60,
      ));
  }
});
