import { describe, it } from "vitest";
import { everyWay, manyWays, PATIENCE } from "./search.ts";

const jobs = ["A", "B"].map((name) => ({ name, executionKey: "k" }));
const three = ["A", "B", "C"].map((name) => ({ name, executionKey: "k" }));

describe("an execution key: never two at once, none lost, nothing left behind", PATIENCE, () => {
  it("loses no wake-up: with no time passing, two jobs come to their end", () =>
    everyWay("two jobs, no time", { jobs, tasks: 1, queued: true, timeless: true }));

  it("loses no wake-up among three jobs of two tasks", () =>
    manyWays("three jobs, no time", { jobs: three, tasks: 2, queued: true, timeless: true }));

  it("survives a retry", () => everyWay("one retry", { jobs, tasks: 1, queued: true, budget: { failures: 1 } }));

  it("survives a crash at any step", () => everyWay("one crash", { jobs, tasks: 1, queued: true, budget: { crashes: 1 } }, 250));

  it("survives a lost connection whose handlers run on", () =>
    everyWay("one loss", { jobs, tasks: 1, queued: true, slots: 3, budget: { losses: 1 } }, 250));

  it("survives a cancel of any job at any step", () => everyWay("one cancel", { jobs, tasks: 1, queued: true, budget: { cancels: 1 } }));

  it("loses no job whose place in the line lapses at any step", () =>
    everyWay("one row lapses", { jobs, tasks: 1, queued: true, budget: { lapses: 1 } }, 2_000));

  it("survives all of it together", () =>
    manyWays(
      "everything",
      { jobs: three, tasks: 2, budget: { crashes: 2, losses: 1, failures: 1, cancels: 1, copies: 1, jumps: 3, lapses: 1 } },
      300,
    ));
});
