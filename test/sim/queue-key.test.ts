import { describe, it } from "vitest";
import { everyWay, manyWays, PATIENCE } from "./search.ts";
import type { Setup } from "./setup.ts";

const rivals = ["A", "B"].map((name) => ({ name, queueKey: "q" }));
const [single = { name: "A", queueKey: "q" }] = rivals;
/** The runs of two late copies are cut off before they have asked for their key, and a purge has dropped the first of them. */
const BARRED_BY_THE_FIRST: Setup = {
  jobs: rivals.map((job) => ({ ...job, late: true })),
  tasks: 1,
  queued: true,
  begun: [
    ...["a message goes to T1", "a message goes to T1", "CONNECTION LOST by T1", "somebody purges"],
    ...["parked.list", "parked.get", "queueKeys.get", "queueKeys.release", "queueKeys.get", "queueKeys.bar"],
  ],
  budget: { losses: 1, purges: 1 },
};

describe("a queue key: one job at a time, never run again once done, no key left behind", PATIENCE, () => {
  it("is had by one of two who enqueue", () => everyWay("two enqueue", { jobs: rivals, tasks: 1 }, 400));

  it("survives a crash of whoever enqueues or runs, and a retry", () =>
    everyWay("one crash, one retry", { jobs: [single], tasks: 1, budget: { crashes: 1, failures: 1, jumps: 1 } }, 250));

  it("survives a lost connection whose handler runs on", () =>
    everyWay("one loss", { jobs: [single], tasks: 1, queued: true, budget: { losses: 1, failures: 1 } }, 250));

  it("survives a cancel at any step", () => everyWay("one cancel", { jobs: [single], tasks: 1, budget: { cancels: 1, failures: 1 } }));

  for (const [way, wishes] of [
    ["cancelled", { cancels: 1 }],
    ["purged", { purges: 1 }],
  ] as const) {
    it(`is not left behind by a late copy of a forgotten job that is ${way} while a run of it is cut off`, () =>
      everyWay(`a late copy, ${way}`, { jobs: [{ ...single, late: true }], tasks: 1, queued: true, budget: { losses: 1, ...wishes } }, 2_000));
  }

  it("is not left behind by late copies of two forgotten jobs that are purged while their runs are cut off", () =>
    everyWay("two late copies", BARRED_BY_THE_FIRST, 1_000));

  it("survives all of it together", () =>
    manyWays(
      "everything",
      { jobs: [...rivals, { name: "C" }], tasks: 2, budget: { crashes: 2, losses: 1, failures: 1, cancels: 1, copies: 1, jumps: 3 } },
      300,
    ));
});

describe("both keys together", PATIENCE, () => {
  const jobs = [
    { name: "A", queueKey: "a", executionKey: "k" },
    { name: "B", queueKey: "b", executionKey: "k" },
    { name: "C", queueKey: "a", executionKey: "k" },
  ];

  it("wait without holding the queue key, and lose no wake-up", () =>
    manyWays("no time", { jobs: jobs.slice(0, 2), tasks: 2, queued: true, timeless: true }));

  it("survive all of it together", () =>
    manyWays("everything", { jobs, tasks: 2, budget: { crashes: 2, losses: 2, failures: 1, cancels: 1, copies: 1, jumps: 3 } }, 300));
});
