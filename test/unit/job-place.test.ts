import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { JobStage } from "../../core/job/life.ts";
import { placeOf, type ReportedRun, reportedRuns } from "../../core/job/place.ts";
import type { JobTraces } from "../../core/job/traces.ts";
import { taskOfRun } from "../../core/keys/runs.ts";
import type { TaskReport } from "../../core/partition/task-store.ts";
import { lease, report } from "../api-world.ts";
import { MOVES, StoriedJob } from "../storied-job.ts";

/** Where the job is, as its story has it and as it is told. */
const where = (job: StoriedJob, told: ReportedRun | undefined) => {
  const place = placeOf(job.traces(), told);
  return place.at === "running" ? `running on ${place.task}` : place.at;
};

/** The same as an older build would have told it. */
function untold({ job: { run: _, stage: __, ...job }, report }: ReportedRun): ReportedRun {
  return { job, report };
}

describe("where a job is", () => {
  const stories = fc.array(fc.constantFrom(...MOVES), { maxLength: 30 });

  it.each([true, false])("is told whatever it went through, and however old a report is (its own id: %s)", (ownId) => {
    fc.assert(
      fc.property(stories, fc.nat(), fc.boolean(), (moves, age, older) => {
        const job = new StoriedJob({ ownId });
        for (const move of moves) job.make(move);
        const reported = job.reports.at(-1 - (age % (job.reports.length + 1)));
        const told = older && reported !== undefined ? untold(reported) : reported;
        expect(job.mayBeToldAs(told)).toContain(where(job, told));
      }),
      { numRuns: 3_000 },
    );
  });

  it("is told by the latest of several reports, in whatever order they come", () => {
    const job = { id: "j", name: "greet", partition: "acme", queue: "default", attempt: 1 };
    const run = fc.record({
      life: fc.integer({ min: 1, max: 2 }),
      attempt: fc.integer({ min: 1, max: 3 }),
      startedAt: fc.integer({ min: 1, max: 9 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(run, { selector: (r) => `${r.life}/${r.attempt}/${r.startedAt}`, minLength: 1, maxLength: 5 }), (runs) => {
        const reports = runs.map(({ life: enqueuedAt, attempt, startedAt }): TaskReport => {
          return report(lease(), { running: [{ ...job, startedAt, stage: { enqueuedAt, attempt } }] });
        });
        const found = [reports, reports.toReversed()].map((told) => reportedRuns(told, "acme").get("j")?.report.boot);
        expect(new Set(found).size).toBe(1);
        const inOrder = runs.map((r, i) => ({ ...r, i })).sort((a, b) => b.life - a.life || b.attempt - a.attempt || b.startedAt - a.startedAt);
        expect(found[0]).toBe(reports[inOrder[0]!.i]?.boot);
      }),
    );
    expect(reportedRuns([report(lease(), { running: [{ ...job, startedAt: 1 }] })], "globex")).toEqual(new Map());
  });
});

describe("of what is told", () => {
  const NOTHING: JobTraces = { parked: undefined, grave: undefined, ownKey: undefined, mark: undefined };
  const life = { id: "j", name: "greet", partition: "acme", queue: "default" };
  const first = { enqueuedAt: 1_000, attempt: 1 };
  const second = { enqueuedAt: 1_000, attempt: 2 };
  const nextLife = { enqueuedAt: 2_000, attempt: 1 };

  const parked = { ...life, ...second, reason: "retry", due: 9_000, since: 5_000, body: "", claimed: false, rev: "r" } as const;
  const error = { name: "E", message: "" };
  const grave = { ...life, ...second, reason: "failed", buriedAt: 5_000, error, history: [], body: "", rev: "r" } as const;
  const key = { jobId: "j", ...second } as const;
  const running = (stage: JobStage, startedAt: number, run = "t/1"): ReportedRun => ({
    job: { ...life, attempt: 1, startedAt, run, stage },
    report: { boot: taskOfRun(run), at: startedAt + 1 },
  });
  const at = (traces: Partial<JobTraces>, told?: ReportedRun) => placeOf({ ...NOTHING, ...traces }, told).at;

  // The clocks of those who wrote these say the contrary, wherever there are two.
  it.each<[string, Partial<JobTraces>, ReportedRun | undefined, string]>([
    ["the next attempt goes before a report of the one before", { parked }, running(first, 8_000), "parked"],
    ["a report of the next attempt goes before an item that is left over", { parked: { ...parked, ...first } }, running(second, 1), "running"],
    [
      "an item that a pump is about to delete is past once its run is told of",
      { parked: { ...parked, claimed: true } },
      running(second, 6_000),
      "running",
    ],
    ["a message that was published in doubt runs beside its item", { parked }, running(second, 6_000), "running"],
    ["a burial goes before a report of its attempt", { grave }, running(second, 8_000), "buried"],
    ["a retried job's item goes before its burial", { grave, parked: { ...parked, attempt: 3 } }, undefined, "parked"],
    ["a retried job's key goes before its burial", { grave, ownKey: { ...key, attempt: 3, state: "queued" } }, undefined, "queued"],
    ["a retried job's run goes before its burial", { grave }, running({ ...second, attempt: 3 }, 1), "running"],
    [
      "a burial of a build that did not tell the life goes by its attempt",
      { grave: { ...grave, enqueuedAt: undefined } as never, parked },
      undefined,
      "buried",
    ],
    [
      "a later life goes before what an earlier one has left",
      { grave, parked, ownKey: { ...key, ...nextLife, state: "queued" } },
      undefined,
      "queued",
    ],
    ["a later life's end does, too", { grave, parked, ownKey: { ...key, ...nextLife, state: "done", until: 9 } }, undefined, "done"],
    ["what is parked of a job whose key is done is a copy", { parked, ownKey: { ...key, state: "done", until: 9 } }, undefined, "done"],
    ["but a burial frees the key, and stays", { grave, ownKey: { ...key, state: "done", until: 9 } }, undefined, "buried"],
    [
      "and so does a cancelled job",
      { parked: { ...parked, reason: "cancelled" }, ownKey: { ...key, state: "done", until: 9 } },
      undefined,
      "cancelled",
    ],
    ["a cancelled item goes before the run that is told to end", { parked: { ...parked, reason: "cancelled" } }, running(second, 8_000), "cancelled"],
    ["a report that the key does not bear out is past", { ownKey: { ...key, state: "queued" } }, running(second, 8_000), "queued"],
    ["a key that was never run is told by its outbox", { ownKey: { ...key, state: "publishing", outbox: parked } }, undefined, "parked"],
  ])("%s", (_, traces, told, expected) => {
    expect(at(traces, told)).toBe(expected);
  });

  it("a long job's item names its run: a report of another one adds nothing to it", () => {
    const long = { ...parked, reason: "long", run: "t2/7" } as const;
    const place = (told: ReportedRun) => placeOf({ ...NOTHING, parked: long }, told);
    expect(place(running(second, 4_000, "t1/3"))).toEqual({ at: "running", task: "t2", attempt: 2, queue: "default", reported: undefined, long });
    const told = running(second, 4_000, "t2/7");
    expect(place(told)).toEqual({ at: "running", task: "t2", attempt: 2, queue: "default", reported: told, long });
  });

  it("a marker says so where nothing else does, and of a life that it hits", () => {
    const mark = { id: "j", at: 1_001, rev: "m" };
    expect(at({ mark })).toBe("cancelled");
    expect(at({ mark, ownKey: { ...key, ...first, state: "queued" } })).toBe("cancelled");
    expect(at({ mark, ownKey: { ...key, state: "queued" } })).toBe("cancelled");
    expect(at({ mark, ownKey: { ...key, ...nextLife, state: "queued" } })).toBe("queued");
    expect(at({ mark: { ...mark, hitLife: 1_000 }, ownKey: { ...key, state: "done", until: 9 } })).toBe("cancelled");
    expect(at({ mark: { ...mark, hitLife: 1_000 }, ownKey: { ...key, ...nextLife, state: "done", until: 9 } })).toBe("done");
    expect(at({ mark }, running(first, 8_000))).toBe("running");
  });
});
