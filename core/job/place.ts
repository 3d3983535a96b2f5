import type { QueueKeyItem } from "../keys/queue-key-store.ts";
import { taskOfRun } from "../keys/runs.ts";
import type { RunningJob, TaskReport } from "../partition/task-store.ts";
import type { BuriedJob } from "./buried.ts";
import type { CancelMark } from "./cancels.ts";
import { attemptIn } from "./envelope.ts";
import { compareStages } from "./life.ts";
import type { ParkedJob } from "./parked.ts";
import type { JobTraces } from "./traces.ts";

/** A running job as its task last told. */
export interface ReportedRun {
  readonly job: RunningJob;
  readonly report: Pick<TaskReport, "boot" | "at">;
}

/** Where a job is, with what was found of it there. */
export type JobPlace =
  | { readonly at: "parked"; readonly job: ParkedJob }
  | {
      readonly at: "running";
      readonly task: string;
      /** As people count it, once a report or an item tells; until then as the key counts. */
      readonly attempt: number;
      /** `undefined`: by a key of an older build. */
      readonly queue: string | undefined;
      /** Absent until its task's next report. */
      readonly reported: ReportedRun | undefined;
      /** Its item, if it runs for long. */
      readonly long: ParkedJob | undefined;
    }
  | { readonly at: "buried"; readonly grave: BuriedJob }
  | { readonly at: "queued"; readonly key: QueueKeyItem }
  | { readonly at: "done"; readonly until: number }
  | { readonly at: "cancelled" }
  | { readonly at: "unknown" };

/**
 * Where a job is, of all that is told of it: pure. What is read of the table is as of now. A report is up to 15 s old, a
 * minute if its task is gone, so it says little against an item:
 *
 * | an item tells of | and there is | the job is |
 * |---|---|---|
 * | a later life or attempt than all others do | – | where that item says |
 * | the same attempt: buried | a report | buried: an attempt does not go on from there |
 * | the same attempt: parked | a run that began before | parked: that is what became of the run |
 * | the same attempt: parked | a run that began since, or the id's key says that one has begun | running: the item is about to be deleted |
 * | the same attempt: cancelled | a run | cancelled: the run is told to end |
 * | the same attempt: its id's key is `done` | what is parked | done: what is parked is a copy, which will be dropped |
 * | any: its id's key | a report | where the key says: a report of the run that holds it adds only details |
 *
 * @param told the run that tasks told of last
 */
export function placeOf({ parked, grave, ownKey: key, mark }: JobTraces, told: ReportedRun | undefined): JobPlace {
  const run = runOf(told, key);
  if (grave !== undefined && !hasGoneOn(grave, { parked, run, key })) return { at: "buried", grave };
  if (parked !== undefined && !hasBegun(parked, run, key)) return byItem(parked, run);
  if (run !== undefined) return byReport(run);
  if (key !== undefined) return byKey(key, mark);
  return { at: mark === undefined ? "unknown" : "cancelled" };
}

/** By their ids, each job of a partition that tasks told of, once: of two, a task's report may be older than the job's way to another. */
export function reportedRuns(reports: Iterable<TaskReport>, partition: string): Map<string, ReportedRun> {
  const runs = new Map<string, ReportedRun>();
  for (const report of reports) {
    for (const job of report.running) {
      if (job.partition !== partition) continue;
      const known = runs.get(job.id);
      if (known === undefined || isNewer(job, known.job)) runs.set(job.id, { job, report });
    }
  }
  return runs;
}

function isNewer(one: RunningJob, other: RunningJob): boolean {
  const order = one.stage === undefined || other.stage === undefined ? 0 : compareStages(one.stage, other.stage);
  return order === 0 ? one.startedAt > other.startedAt : order > 0;
}

/** A job with a key of its id runs only with that key, which was read as it is. */
function runOf(told: ReportedRun | undefined, key: QueueKeyItem | undefined): ReportedRun | undefined {
  if (told === undefined || key === undefined) return told;
  const { job, report } = told;
  const holdsIt = job.run === undefined ? report.boot === key.task : job.run === key.run;
  return key.state === "running" && holdsIt ? told : undefined;
}

interface Others {
  readonly parked: ParkedJob | undefined;
  readonly run: ReportedRun | undefined;
  readonly key: QueueKeyItem | undefined;
}

/** Retried by a person, whose request may have died before it took the burial back; or the id has a later life. */
function hasGoneOn(grave: BuriedJob, { parked, run, key }: Others): boolean {
  if ([parked, key].some((other) => other !== undefined && compareStages(other, grave) > 0)) return true;
  if (run === undefined) return false;
  const { stage, startedAt } = run.job;
  return stage === undefined ? startedAt > grave.buriedAt : compareStages(stage, grave) > 0;
}

/** Whether what was parked has gone on its way. */
function hasBegun(parked: ParkedJob, run: ReportedRun | undefined, key: QueueKeyItem | undefined): boolean {
  const keyOrder = key === undefined ? -1 : compareStages(key, parked);
  if (keyOrder > 0) return true;
  const runOrder = run?.job.stage === undefined ? 0 : compareStages(run.job.stage, parked);
  if (run !== undefined && runOrder > 0) return true;
  if (parked.reason === "cancelled") return false;
  if (keyOrder === 0 && (key?.state === "done" || (key?.state === "running" && parked.claimed))) return true;
  // n.b. `since` is when a waiting job got into line first, but no run of it begins before a pump has taken it.
  if (run === undefined || runOrder < 0 || (parked.reason === "waiting" && !parked.claimed)) return false;
  return run.job.startedAt > parked.since;
}

function byReport(run: ReportedRun): JobPlace {
  const { attempt, queue } = run.job;
  return { at: "running", task: run.report.boot, attempt, queue, reported: run, long: undefined };
}

function byItem(parked: ParkedJob, run: ReportedRun | undefined): JobPlace {
  if (parked.reason === "cancelled") return { at: "cancelled" };
  if (parked.reason !== "long" || parked.run === undefined) return { at: "parked", job: parked };
  const task = taskOfRun(parked.run);
  const isIt = run?.job.run === undefined ? run?.report.boot === task : run.job.run === parked.run;
  return { at: "running", task, attempt: attemptIn(parked), queue: parked.queue, reported: isIt ? run : undefined, long: parked };
}

function byKey(key: QueueKeyItem, mark: CancelMark | undefined): JobPlace {
  const { state, queue, enqueuedAt, attempt, task, outbox, until = 0 } = key;
  if (state === "done") return mark?.hitLife !== undefined && mark.hitLife === enqueuedAt ? { at: "cancelled" } : { at: "done", until };
  if (state === "running" && task !== undefined) return { at: "running", task, attempt, queue, reported: undefined, long: undefined };
  if (outbox !== undefined) return { at: "parked", job: { ...outbox, claimed: false, rev: "" } };
  const isHit = mark !== undefined && enqueuedAt !== undefined && enqueuedAt < mark.at;
  return isHit ? { at: "cancelled" } : { at: "queued", key };
}
