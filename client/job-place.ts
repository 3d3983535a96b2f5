import type { Clock } from "../core/contract/clock.ts";
import { REPORT_FRESH_MS } from "../core/contract/limits.ts";
import { attemptIn, type FailedAttempt } from "../core/job/envelope.ts";
import type { BurialReason } from "../core/job/outcome.ts";
import type { ParkedReason } from "../core/job/parked.ts";
import { type JobPlace as Found, placeOf, reportedRuns } from "../core/job/place.ts";
import { type TracePorts, tracesOf } from "../core/job/traces.ts";
import type { TaskStore } from "../core/partition/task-store.ts";

/**
 * Where a job is. Times are epoch ms; attempts are counted as people do. `unknown`: queued, running since a moment ago, done,
 * or never enqueued; a plain job leaves no trace. Of a job with an id of the caller's own, `queued` and `done` are known until
 * an hour after its end. `cancelled`: it was asked for; the job will not start any more.
 */
export type JobPlace =
  | { readonly state: "parked"; readonly reason: ParkedReason; readonly due: number; readonly since: number; readonly attempt: number }
  | { readonly state: "queued" }
  | { readonly state: "running"; readonly attempt: number; readonly task: string }
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

/** Four strong reads, and what the tasks last told. */
export async function findJob({ tasks, clock, ...ports }: PlaceDeps, partition: string, id: string): Promise<JobPlace> {
  const [traces, reports] = await Promise.all([tracesOf(ports, partition, id), tasks.reports()]);
  const now = clock.now();
  const fresh = reports.filter(({ at }) => now - at <= REPORT_FRESH_MS);
  return shown(placeOf(traces, reportedRuns(fresh, partition).get(id)));
}

function shown(place: Found): JobPlace {
  switch (place.at) {
    case "parked": {
      const { reason, due, since } = place.job;
      return { state: "parked", reason, due, since, attempt: attemptIn(place.job) };
    }
    case "running":
      return { state: "running", attempt: place.attempt, task: place.task };
    case "buried": {
      const { reason, buriedAt, error } = place.grave;
      return { state: "buried", reason, buriedAt, error, attempt: attemptIn(place.grave) };
    }
    case "queued":
    case "done":
    case "cancelled":
    case "unknown":
      return { state: place.at };
  }
}
