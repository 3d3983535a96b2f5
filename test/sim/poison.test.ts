import { describe, it } from "vitest";
import { LIMITS } from "../../core/contract/limits.ts";
import { manyWays, PATIENCE } from "./search.ts";

const killer = "A";
/** Starts of a job until it is a suspect. */
const UNSUSPECTED = 2;

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

  for (const [what, keys] of [
    ["no key", {}],
    ["a queue key", { queueKey: "a" }],
  ] as const) {
    it(`with ${what}, in time, though its pump is what it kills`, async () => {
      const setup = {
        jobs: [{ name: killer, outbox: true, ...keys }, { name: "C" }],
        slots: 3,
        killer,
        mostKilled: (messages: number) => LIMITS.poisonStarts + UNSUSPECTED * messages,
      };
      for (const tasks of [1, 2]) await manyWays(`a killer with ${what} in ${tasks}`, { ...setup, tasks }, 60);
    });
  }
});
