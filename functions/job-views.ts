import type {
  BuriedDetail,
  BuriedView,
  ErrorView,
  FailedAttemptView,
  HolderView,
  JobDetail,
  ParkedDetail,
  ParkedView,
  PeekedView,
  RunningDetail,
  RunningView,
} from "../client/views.ts";
import type { BuriedJob } from "../core/job/buried.ts";
import { attemptOf, type Envelope, envelopeOf, type FailedAttempt, type Json } from "../core/job/envelope.ts";
import type { ParkedJob } from "../core/job/parked.ts";
import type { JobPlace } from "../core/job/place.ts";
import type { Registry } from "../core/job/registry.ts";
import type { RunningJob } from "../core/partition/task-store.ts";
import type { Blocker, FoundJob, KeyHolder } from "./find-job.ts";
import { time, timeOrNull } from "./iso-time.ts";
import { shownArgs, showsAll } from "./registry.ts";

/** How jobs look on the wire. Attempts are counted as people do: from 1 again after a person's retry. */

export function runningView(job: RunningJob, task: string): RunningView {
  return {
    state: "running",
    job_id: job.id,
    name: job.name,
    queue: job.queue,
    attempt: job.attempt,
    task,
    started_at: time(job.startedAt),
    progress: job.progress ?? null,
    stuck_since: timeOrNull(job.stuckSince),
    token: job.token ?? null,
  };
}

export function parkedView(job: ParkedJob, envelope: Envelope | undefined = envelopeOf(job.body)): ParkedView {
  return {
    state: "parked",
    job_id: job.id,
    name: job.name,
    queue: job.queue,
    attempt: peoplesAttempt(job, envelope),
    reason: job.reason,
    since: time(job.since),
    due: time(job.due),
  };
}

export function buriedView(job: BuriedJob, envelope: Envelope | undefined = envelopeOf(job.body)): BuriedView {
  return {
    state: "buried",
    job_id: job.id,
    name: job.name,
    queue: job.queue,
    attempt: peoplesAttempt(job, envelope),
    reason: job.reason,
    buried_at: time(job.buriedAt),
    error: errorView(job.error),
  };
}

function peoplesAttempt({ attempt }: { readonly attempt: number }, envelope: Envelope | undefined): number {
  return attemptOf({ ...envelope, attempt });
}

/** One job in full. */
export function jobDetail(registry: Registry, id: string, { place, blocker }: Pick<FoundJob, "place" | "blocker">): JobDetail {
  switch (place.at) {
    case "parked":
      return parkedDetail(registry, place.job, blocker);
    case "running":
      return runningDetail(id, place);
    case "buried":
      return buriedDetail(registry, place.grave);
    case "done":
      return { state: "done", job_id: id, remembered_until: time(place.until) };
    case "queued":
    case "cancelled":
    case "unknown":
      return { state: place.at, job_id: id };
  }
}

export function buriedDetail(registry: Registry, grave: BuriedJob): BuriedDetail {
  const envelope = envelopeOf(grave.body);
  return { ...buriedView(grave, envelope), args: argsOf(registry, envelope), history: grave.history.map(failedAttemptView) };
}

function parkedDetail(registry: Registry, job: ParkedJob, blocker: Blocker | undefined): ParkedDetail {
  const envelope = envelopeOf(job.body);
  return {
    ...parkedView(job, envelope),
    args: argsOf(registry, envelope),
    history: (envelope?.history ?? []).filter(isFailedAttempt).map(failedAttemptView),
    waits_for: blocker === undefined ? null : { key: keyText(registry, envelope, blocker) ?? null, held_by: holderView(blocker.holder) ?? null },
  };
}

/** Until a report lists it, a long job is known by its item, another by the key of its id. */
function runningDetail(id: string, { task, queue, reported, long }: JobPlace & { at: "running" }): RunningDetail {
  if (reported !== undefined) return runningView(reported.job, task);
  const envelope = long === undefined ? undefined : envelopeOf(long.body);
  return {
    state: "running",
    job_id: id,
    name: long?.name ?? null,
    queue: queue ?? null,
    attempt: envelope === undefined ? null : attemptOf(envelope),
    task,
    started_at: null,
    progress: null,
    stuck_since: null,
    token: null,
  };
}

/** A key is made of the args: who may not see all of them may not see it. */
export function keyText(registry: Registry, envelope: Envelope | undefined, { key }: Blocker): string | undefined {
  return envelope !== undefined && showsAll(registry, envelope.name, envelope.args) ? key : undefined;
}

export function holderView(holder: KeyHolder | undefined): HolderView | undefined {
  return holder === undefined ? undefined : { job_id: holder.job, task: holder.task, since: timeOrNull(holder.since) };
}

function argsOf(registry: Registry, envelope: Envelope | undefined): Json {
  return envelope === undefined ? null : shownArgs(registry, envelope.name, envelope.args);
}

function errorView(error: FailedAttempt["error"]): ErrorView {
  return { name: error.name, message: error.message, stack: error.stack ?? null };
}

function failedAttemptView(failed: FailedAttempt): FailedAttemptView {
  return {
    attempt: failed.attempt,
    started_at: time(failed.started_at),
    failed_at: time(failed.failed_at),
    task: failed.task,
    error: errorView(failed.error),
  };
}

/** A message may be another program's work: what it says of its past need not be of our form. */
function isFailedAttempt(value: unknown): value is FailedAttempt {
  if (typeof value !== "object" || value === null || !("error" in value)) return false;
  const { attempt, started_at, failed_at, task, error } = value as FailedAttempt;
  const numbers = [attempt, started_at, failed_at].every((number) => Number.isSafeInteger(number));
  return numbers && typeof task === "string" && typeof error?.name === "string" && typeof error.message === "string";
}

export function peekedView(registry: Registry, body: Buffer): PeekedView {
  const envelope = envelopeOf(body);
  return {
    job_id: envelope?.id ?? null,
    name: envelope?.name ?? null,
    args: argsOf(registry, envelope),
    attempt: envelope === undefined ? null : attemptOf(envelope),
    enqueued_at: timeOrNull(envelope?.enqueued_at),
    bytes: body.length,
  };
}
