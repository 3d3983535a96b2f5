import { describe, expect, it } from "vitest";
import { applyCommand } from "../../core/partition/commands.ts";
import type { Partition } from "../../core/partition/partition.ts";
import type { History, JobAsked, RowSeen } from "../fixture/chaos/history.ts";
import type { RunSeen } from "../fixture/chaos/lines.ts";
import { leftovers, unfinished, verdict } from "../fixture/chaos/verdict.ts";

/** test/faults/chaos.test.ts is worth what its verdict sees. */

const run = (change: Partial<RunSeen>): RunSeen => ({
  pid: 1,
  job: "a",
  name: "plain",
  partition: "p",
  queue: "fast",
  attempt: 1,
  token: 0,
  key: "",
  from: 1_000,
  to: 2_000,
  how: "done",
  ...change,
});
const job = (change: Partial<JobAsked>): JobAsked => ({
  partition: "p",
  queue: "fast",
  name: "plain",
  key: "",
  fails: 0,
  id: "a",
  sentAt: 0,
  acceptedAt: 10,
  ...change,
});
const rowOf = (max: number, held: number): Partition => ({
  ...applyCommand("p", undefined, { type: "start", pools: { default: { fast: max } } }),
  held: { "default/fast": held },
  shares: { "default/fast": held === 0 ? {} : { t: held } },
});
const look = (at: number, max: number, held: number): RowSeen => ({ from: at, to: at + 1, row: rowOf(max, held) });
const judge = (history: Partial<History>): string[] =>
  verdict({ runs: [], jobs: [], rows: new Map([["p", [look(0, 9, 9)]]]), asked: [], freezes: [], deaths: new Map(), buried: [], ...history });
const rows = (...seen: RowSeen[]) => new Map([["p", seen]]);

describe("the verdict on max_workers", () => {
  const two = [run({}), run({ job: "b", from: 1_500, to: 2_500 })];

  it("sees one run too many", () => {
    expect(judge({ runs: two, rows: rows(look(0, 1, 1), look(3_000, 1, 1)) })).toEqual([
      expect.stringContaining("2 of p-fast ran at 1.500, where 1 were allowed"),
    ]);
    expect(judge({ runs: two, rows: rows(look(0, 2, 2), look(3_000, 2, 2)) })).toEqual([]);
  });

  it("lets what was held before it was lowered end, and no more begin once that has come down", () => {
    expect(judge({ runs: two, rows: rows(look(0, 2, 2), look(1_200, 1, 2), look(3_000, 1, 1)) })).toEqual([]);
    expect(judge({ runs: two, rows: rows(look(0, 2, 1), look(1_200, 1, 1), look(3_000, 1, 1)) })).not.toEqual([]);
  });

  it("allows what was asked for between two looks", () => {
    const asked = [{ partition: "p", from: 1_400, to: 1_450, queues: { fast: 2 } }];
    expect(judge({ runs: two, asked, rows: rows(look(0, 1, 1), look(3_000, 1, 1)) })).toEqual([]);
  });

  it("sees more that runs than is held, and shares that are no sum", () => {
    expect(judge({ runs: two, rows: rows(look(0, 2, 2), look(1_700, 2, 1), look(3_000, 2, 2)) })).toEqual([
      expect.stringContaining("and 1 were held"),
    ]);
    const odd = { ...rowOf(2, 2), shares: { "default/fast": { t: 1 } } };
    expect(judge({ rows: rows({ from: 0, to: 1, row: odd }) })).toEqual([expect.stringContaining("held is 2 and the shares are 1")]);
    expect(judge({ rows: rows(look(0, 1, 1), look(10, 1, 2)) })).toEqual([expect.stringContaining("held rose to 2 above 1")]);
  });
});

describe("the verdict on processes", () => {
  const killed = run({ to: undefined, how: undefined });
  const next = run({ job: "b", from: 1_500, to: 2_500 });
  const one = rows(look(0, 1, 1), look(9_000, 1, 1));

  it("counts what a killed one ran until its end", () => {
    expect(judge({ runs: [killed, next], deaths: new Map([[1, 1_400]]), rows: one })).toEqual([]);
    expect(judge({ runs: [killed, next], deaths: new Map([[1, 1_600]]), rows: one })).not.toEqual([]);
  });

  it("counts nothing while one stands still, if it ends when it wakes; but nothing may begin in it then", () => {
    const freezes = [{ pid: 1, from: 1_300, to: 4_000 }];
    const elsewhere = { ...next, pid: 2 };
    expect(judge({ runs: [killed, elsewhere], freezes, deaths: new Map([[1, 4_100]]), rows: one })).toEqual([]);
    expect(judge({ runs: [killed, elsewhere], freezes, rows: one })).not.toEqual([]);
    const late = run({ job: "c", from: 4_050, to: 4_060 });
    expect(judge({ runs: [late], freezes, deaths: new Map([[1, 4_100]]), rows: one })).toEqual([expect.stringContaining("whose lease was over")]);
  });
});

describe("the verdict on keys", () => {
  it("sees two of an execution key side by side, and a token that does not rise", () => {
    const serial = (change: Partial<RunSeen>) => run({ name: "serial", key: "k", token: 7, ...change });
    expect(judge({ runs: [serial({}), serial({ job: "b", token: 8, from: 1_999 })] })).toEqual([expect.stringContaining("beside")]);
    expect(judge({ runs: [serial({}), serial({ job: "b", token: 7, from: 2_001, to: 2_002 })] })).toEqual([
      expect.stringContaining("has token 7 after 7"),
    ]);
    expect(judge({ runs: [serial({}), serial({ job: "b", token: 8, from: 2_001, to: 2_002 })] })).toEqual([]);
  });

  it("sees a second job of a queue key before the first has ended", () => {
    const first = job({ name: "unique", key: "k" });
    const done = [run({ name: "unique", key: "k" }), run({ name: "unique", key: "k", job: "b", from: 5_000, to: 5_100 })];
    expect(judge({ jobs: [first, job({ ...first, id: "b", sentAt: 1_500, acceptedAt: 1_600 })], runs: done })).toEqual([
      expect.stringContaining("was accepted at 1.600"),
    ]);
    expect(judge({ jobs: [first, job({ ...first, id: "b", sentAt: 2_500, acceptedAt: 2_600 })], runs: done })).toEqual([]);
  });
});

describe("the verdict on ends", () => {
  it("sees a job that was lost, and none that was cancelled or went with its partition", () => {
    expect(judge({ jobs: [job({})] })).toEqual([expect.stringContaining("lost")]);
    expect(unfinished({ jobs: [job({})], runs: [], buried: [] })).toHaveLength(1);
    expect(judge({ jobs: [job({ cancelledAt: 20 }), job({ id: "b", forsaken: true })] })).toEqual([]);
    expect(judge({ jobs: [job({})], runs: [run({ how: "aborted" })] })).not.toEqual([]);
    expect(judge({ jobs: [job({})], runs: [run({})] })).toEqual([]);
  });

  it("sees what is left in the table", () => {
    const left = [
      { pk: "PARKED#p" },
      { pk: "KEY#p", state: "queued" },
      { pk: "LOCK#p", sk: "h#LOCK", holder: "a" },
      { pk: "LOCK#p", sk: "h#W#1#a" },
      { pk: "SUSPECT#p" },
    ];
    expect(leftovers(left)).toHaveLength(left.length);
    expect(leftovers([{ pk: "KEY#p", state: "done" }, { pk: "LOCK#p", sk: "h#LOCK" }, { pk: "CANCELS#p" }])).toEqual([]);
  });
});
