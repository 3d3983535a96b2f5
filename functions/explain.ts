import type { JobExplanation, ReasonCode, ReasonView } from "../client/views.ts";
import { envelopeOf } from "../core/job/envelope.ts";
import type { ParkedJob, ParkedReason } from "../core/job/parked.ts";
import type { JobPlace } from "../core/job/place.ts";
import type { Registry } from "../core/job/registry.ts";
import type { QueueKeyItem } from "../core/keys/queue-key-store.ts";
import { listedQueues, type Partition } from "../core/partition/partition.ts";
import type { Blocker, FoundJob } from "./find-job.ts";
import { time } from "./iso-time.ts";
import { holderView, keyText } from "./job-views.ts";
import { obstacles } from "./obstacles.ts";

export interface ExplainOptions {
  readonly partition: Partition;
  readonly registry: Registry;
  /** Epoch ms. */
  readonly now: number;
}

/** Says in plain words why a job is where it is, or does not run: pure, of what was read. */
export function explain(id: string, found: FoundJob, options: ExplainOptions): JobExplanation {
  const { place } = found;
  return { job_id: id, state: place.at, reasons: [...(found.marked ? marked(place) : []), ...reasonsOf(found, options)] };
}

function reason(code: ReasonCode, detail: string, more: Omit<ReasonView, "code" | "detail"> = {}): ReasonView {
  return { code, detail, ...more };
}

function reasonsOf({ place, blocker, overview }: FoundJob, options: ExplainOptions): ReasonView[] {
  const { partition } = options;
  switch (place.at) {
    case "running":
      return running(place, isThere(overview.leases.find(({ boot }) => boot === place.task)));
    case "parked": {
      const waits = parked(place.job, blocker, options);
      const keepsFrom = obstacles(partition, place.job.queue, overview);
      // Once its time has come, what keeps it from starting tells more.
      return place.job.due > options.now ? [...waits, ...keepsFrom] : [...keepsFrom, ...waits];
    }
    case "buried": {
      const { grave } = place;
      return [
        reason("buried", `buried as ${grave.reason} at ${time(grave.buriedAt)}: ${grave.error.message}; it runs again only if somebody retries it`),
      ];
    }
    case "done":
      return [reason("done", `it has ended; its id is remembered until ${time(place.until)}`, { until: time(place.until) })];
    case "cancelled":
      return [reason("cancelled", "it was cancelled: it will not start any more")];
    case "queued":
      return [
        ...obstacles(partition, place.key.queue, overview),
        reason("not_seen", `it is in ${queueOf(place.key, partition)}, or on its way there`),
      ];
    case "unknown":
      return [
        ...obstacles(partition, undefined, overview),
        reason("not_seen", "it is queued, or has ended, or there never was such a job: plain jobs leave no trace"),
      ];
  }
}

/** The key of an older build does not say which; then what is told of queues is told of all that are listed. */
function queueOf({ queue }: QueueKeyItem, partition: Partition): string {
  if (queue !== undefined) return `queue "${queue}"`;
  return `its queue (${[...listedQueues(partition), "or one that the partition does not list any more"].join(", ")})`;
}

/** What a wish to cancel means to a job that is still about. */
function marked({ at }: JobPlace): ReasonView[] {
  if (at === "running") return [reason("cancelled", "its cancelling was asked for: it was told to end, and is over as soon as its handler settles")];
  if (at === "parked" || at === "queued")
    return [reason("cancelled", "its cancelling was asked for: if it was enqueued before, it ends when it comes up")];
  return [];
}

function isThere(lease: { readonly dead: boolean } | undefined): boolean {
  return lease !== undefined && !lease.dead;
}

function running({ task, reported }: JobPlace & { at: "running" }, alive: boolean): ReasonView[] {
  if (!alive) return [reason("running", `it ran on task ${task}, which is gone: it runs again as soon as that is certain`)];
  if (reported === undefined) return [reason("running", `it runs on task ${task}, which has not told of it yet`)];
  const { startedAt, progress, stuckSince } = reported.job;
  const far = progress === undefined ? "" : `, ${Math.floor(progress * 100)} % done`;
  const runs = reason("running", `it has been running on task ${task} since ${time(startedAt)}${far}`);
  if (stuckSince === undefined) return [runs];
  return [
    reason("stuck", `it has been ignoring since ${time(stuckSince)} that it was told to end; until it settles it keeps its slot and its keys`),
    runs,
  ];
}

const WAITS_AS: Readonly<Record<ParkedReason, string>> = {
  outbox: "it was accepted",
  delayed: "its enqueuer wanted it later",
  retry: "its last attempt failed",
  snoozed: "its handler snoozed it",
  waiting: "it waits for its key",
  unknown_name: "no worker knew its name",
  suspect: "another job that may have killed its worker was running",
  long: "its long run has ended without an outcome",
  cancelled: "it was cancelled",
};

function parked(job: ParkedJob, blocker: Blocker | undefined, { now, registry }: ExplainOptions): ReasonView[] {
  const until = time(job.due);
  const why = WAITS_AS[job.reason];
  const timed =
    job.due > now && !job.claimed
      ? reason("parked_until", `${why}; a worker brings it to its queue at ${until}${job.reason === "waiting" ? " at the latest" : ""}`, { until })
      : reason("on_its_way", `${why}; its time has come, and a worker brings it to its queue`);
  return [...special(job, blocker, registry), timed];
}

function special(job: ParkedJob, blocker: Blocker | undefined, registry: Registry): ReasonView[] {
  switch (job.reason) {
    case "waiting":
      return blocker === undefined ? [] : [waiting(job.id, keyText(registry, envelopeOf(job.body), blocker), holderView(blocker.holder))];
    case "unknown_name":
      return [reason("unknown_name", `no worker that met it knows a job "${job.name}"; it is offered again and again, and buried after 7 days`)];
    case "suspect":
      return [reason("suspect", "its worker died more than once while it ran, so it runs only where no other such job does")];
    default:
      return [];
  }
}

function waiting(id: string, key: string | undefined, held_by: ReasonView["held_by"]): ReasonView {
  const name = key === undefined ? "its key" : `the key "${key}"`;
  if (held_by === undefined) return reason("key_free", `${name} is free, or kept for an older job for a moment`);
  const since = held_by.since === null ? "" : ` since ${held_by.since}`;
  if (held_by.job_id === id)
    return reason("key_held", `another run of this very job, on task ${held_by.task}${since}, may still be alive`, { held_by });
  return reason("key_held", `${name} is held by job ${held_by.job_id} on task ${held_by.task}${since}`, { held_by });
}
