import type { Clock } from "../core/contract/clock.ts";
import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import type { FailedAttempt } from "../core/job/envelope.ts";
import { isLater } from "../core/job/life.ts";
import type { BurialReason } from "../core/job/outcome.ts";
import type { ParkedReason } from "../core/job/parked.ts";
import { type TracePorts, tracesOf } from "../core/job/traces.ts";
import type { QueueKeyItem } from "../core/keys/queue-key-store.ts";
import type { TaskStore } from "../core/partition/task-store.ts";

/**
 * Where a job is. Times are epoch ms. `unknown`: queued, running since a moment ago, done, or never enqueued; a plain job
 * leaves no trace. Of a job with an id of the caller's own, `queued` and `done` are known until an hour after its end.
 */
export type JobPlace =
  | { readonly state: "parked"; readonly reason: ParkedReason; readonly due: number; readonly since: number; readonly attempt: number }
  | { readonly state: "queued" }
  | { readonly state: "running"; readonly attempt: number; readonly task: string | undefined }
  | { readonly state: "done" }
  | { readonly state: "cancelled" }
  | {
      readonly state: "buried";
      readonly reason: BurialReason;
      readonly buriedAt: number;
      readonly error: FailedAttempt["error"];
      readonly attempt: number;
    }
  | { readonly state: "unknown" };

export interface PlaceDeps extends TracePorts {
  readonly tasks: Pick<TaskStore, "reports">;
  readonly clock: Clock;
}

/** A report older than this says nothing of now. */
const FRESH_MS = 4 * DEFAULT_TIMINGS.report;

/** Three strong reads; for what is neither parked nor buried also what the tasks last told. */
export async function findJob({ tasks, clock, ...ports }: PlaceDeps, partition: string, id: string): Promise<JobPlace> {
  const { parked: waiting, grave: dead, ownKey: key } = await tracesOf(ports, partition, id);
  if (waiting?.reason === "long" && waiting.run !== undefined) {
    return { state: "running", attempt: waiting.attempt, task: waiting.run.slice(0, waiting.run.lastIndexOf("/")) };
  }
  if (waiting?.reason === "cancelled") return { state: "cancelled" };
  // A person's retry parks the job first and unburies it then: the later attempt is the one that counts.
  if (dead !== undefined && (waiting === undefined || !isLater(waiting, { enqueuedAt: 0, ...dead }))) {
    const { reason, buriedAt, error, attempt } = dead;
    return { state: "buried", reason, buriedAt, error, attempt };
  }
  if (waiting !== undefined) {
    const { reason, due, since, attempt } = waiting;
    return { state: "parked", reason, due, since, attempt };
  }
  const reports = await tasks.reports();
  const now = clock.now();
  for (const report of reports) {
    const run = now - report.at > FRESH_MS ? undefined : report.running.find((job) => job.id === id && job.partition === partition);
    if (run !== undefined && key?.state !== "done") return { state: "running", attempt: run.attempt, task: report.boot };
  }
  return key === undefined ? { state: "unknown" } : placeOf(key);
}

function placeOf({ state, attempt, task }: QueueKeyItem): JobPlace {
  switch (state) {
    case "publishing":
    case "queued":
      return { state: "queued" };
    case "running":
      return { state: "running", attempt, task };
    case "done":
      return { state: "done" };
  }
}
