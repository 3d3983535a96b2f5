import { LIMITS } from "../core/contract/limits.ts";
import type { BuriedJob } from "../core/job/buried.ts";
import { decodeEnvelope, type Envelope, InvalidEnvelope } from "../core/job/envelope.ts";
import { ownIdKey } from "../core/job/new-job.ts";
import type { ParkedJob } from "../core/job/parked.ts";
import type { Deps } from "./deps.ts";
import { type RunningJobAt, readTasks, runningJobs, type TaskOverview } from "./live-tasks.ts";

/** Who has the key that a job waits for. */
export interface KeyHolder {
  readonly job: string;
  readonly task: string;
  /** Since when it runs, epoch ms; absent: no live task reports it. */
  readonly since: number | undefined;
}

/** What a `waiting` job waits for. `key` is absent when it is for a run of its own. */
export interface Blocker {
  readonly key: string | undefined;
  readonly holder: KeyHolder | undefined;
}

/** Where a job is, as far as the table and the tasks' reports can tell. */
export type JobPlace =
  | { readonly at: "parked"; readonly job: ParkedJob; readonly envelope: Envelope | undefined; readonly blocker: Blocker | undefined }
  | { readonly at: "running"; readonly task: string; readonly reported: RunningJobAt | undefined; readonly long: ParkedJob | undefined }
  | { readonly at: "buried"; readonly grave: BuriedJob }
  | { readonly at: "queued" }
  | { readonly at: "done"; readonly until: number }
  | { readonly at: "cancelled" }
  | { readonly at: "unknown" };

export interface FoundJob {
  readonly place: JobPlace;
  /** Its cancelling was asked for. */
  readonly marked: boolean;
  readonly overview: TaskOverview;
}

/**
 * Finds a job. Items are exact, reports are some seconds old: a parked item that is newer than the report that says the
 * job runs goes before it; an older one is about to be deleted by the pump that published it. A buried job that was
 * retried may still be listed for a moment: what is newer goes before it.
 */
export async function findJob(deps: Deps, partition: string, id: string): Promise<FoundJob> {
  const { store, clock } = deps;
  const [parked, grave, overview, mark] = await Promise.all([
    store.parked.get({ partition, id }),
    store.buried.get(partition, id),
    readTasks(store.tasks, clock.now()),
    store.cancels.get(partition, id),
  ]);
  const reported = reportedIn(overview, partition, id);
  const marked = mark !== undefined;
  const found = (place: JobPlace): FoundJob => ({ place, marked, overview });
  if (grave !== undefined && !isNewer(grave, parked, reported)) return found({ at: "buried", grave });
  if (parked?.reason === "cancelled") return found({ at: "cancelled" });
  if (parked?.reason === "long" && parked.run !== undefined) return found({ at: "running", task: taskOf(parked.run), reported, long: parked });
  if (parked !== undefined && (reported === undefined || parked.since >= reported.report.at)) return found(await parkedPlace(deps, parked, overview));
  if (reported !== undefined) return found({ at: "running", task: reported.report.boot, reported, long: undefined });
  return found(await byOwnKey(deps, partition, id, mark?.at));
}

/** Whether a buried job has been retried since, by a person whose request died before it took the burial back. */
export async function isOver({ store, clock }: Deps, grave: BuriedJob): Promise<boolean> {
  const { partition, id } = grave;
  const [parked, overview] = await Promise.all([store.parked.get({ partition, id }), readTasks(store.tasks, clock.now())]);
  return isNewer(grave, parked, reportedIn(overview, partition, id));
}

function isNewer(grave: BuriedJob, parked: ParkedJob | undefined, reported: RunningJobAt | undefined): boolean {
  return (parked !== undefined && parked.attempt > grave.attempt) || (reported !== undefined && reported.job.startedAt > grave.buriedAt);
}

function reportedIn(overview: TaskOverview, partition: string, id: string): RunningJobAt | undefined {
  return runningJobs(overview, partition).find(({ job }) => job.id === id);
}

async function parkedPlace(deps: Deps, job: ParkedJob, overview: TaskOverview): Promise<JobPlace> {
  const envelope = envelopeOf(job.body);
  const blocker = job.reason === "waiting" && envelope !== undefined ? await blockerOf(deps, envelope, overview) : undefined;
  return { at: "parked", job, envelope, blocker };
}

/** Its execution key's lock tells who has it; a job that waits for a run of its own is told by its queue key. */
async function blockerOf({ store }: Deps, { id, partition, execution_key, queue_key }: Envelope, overview: TaskOverview): Promise<Blocker> {
  const [lock, own] = await Promise.all([
    execution_key === undefined ? undefined : store.executionKeys.read({ partition, key: execution_key }),
    queue_key === undefined ? undefined : store.queueKeys.get({ partition, key: queue_key }),
  ]);
  const since = (job: string): number | undefined => reportedIn(overview, partition, job)?.job.startedAt;
  if (own?.jobId === id && own.task !== undefined) return { key: undefined, holder: { job: id, task: own.task, since: since(id) } };
  const held = lock?.holder !== undefined && lock.task !== undefined ? { job: lock.holder, task: lock.task, since: since(lock.holder) } : undefined;
  return { key: execution_key, holder: held };
}

/**
 * A job with an id of its caller's is known by its key, wherever it is. The id may have been cancelled in an earlier life: it
 * was remembered for an hour after that, so what is told of it later is a new one's.
 */
async function byOwnKey({ store, clock }: Deps, partition: string, id: string, cancelledAt: number | undefined): Promise<JobPlace> {
  const key = await store.queueKeys.get({ partition, key: ownIdKey(id) });
  const cancelledSince = (time: number): boolean => cancelledAt !== undefined && cancelledAt > time - LIMITS.doneKeyMs;
  if (key?.jobId !== id) return { at: cancelledAt === undefined ? "unknown" : "cancelled" };
  if (key.state === "done") {
    const until = key.until ?? clock.now();
    return cancelledSince(until - LIMITS.doneKeyMs) ? { at: "cancelled" } : { at: "done", until };
  }
  if (key.state === "running" && key.task !== undefined) return { at: "running", task: key.task, reported: undefined, long: undefined };
  if (key.outbox !== undefined)
    return { at: "parked", job: { ...key.outbox, claimed: false, rev: "" }, envelope: envelopeOf(key.outbox.body), blocker: undefined };
  return { at: cancelledSince(clock.now()) ? "cancelled" : "queued" };
}

/** A run is named `<task>/<number>`. */
function taskOf(run: string): string {
  return run.slice(0, run.lastIndexOf("/"));
}

/** `undefined` for what is no job. */
export function envelopeOf(body: Buffer | string): Envelope | undefined {
  try {
    return decodeEnvelope(body);
  } catch (error) {
    // Whatever lies in a queue or an item is shown; what is no job shows as its size.
    if (error instanceof InvalidEnvelope) return undefined;
    throw error;
  }
}
