import type { BuriedJob } from "../core/job/buried.ts";
import type { CancelMark } from "../core/job/cancels.ts";
import { decodeEnvelope, type Envelope, InvalidEnvelope } from "../core/job/envelope.ts";
import { isLater } from "../core/job/life.ts";
import { ownKeyOf } from "../core/job/own-id.ts";
import type { ParkedJob } from "../core/job/parked.ts";
import { isOutlived, tracesOf } from "../core/job/traces.ts";
import type { QueueKeyItem } from "../core/keys/queue-key-store.ts";
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
 * retried may still be listed for a moment: what is newer goes before it. So does a later life of a caller's own id before
 * all that an earlier one has left.
 */
export async function findJob(deps: Deps, partition: string, id: string): Promise<FoundJob> {
  const { store, clock } = deps;
  const [{ parked, grave, ownKey }, overview, mark] = await Promise.all([
    tracesOf(store, partition, id),
    readTasks(store.tasks, clock.now()),
    store.cancels.get(partition, id),
  ]);
  const reported = reportedIn(overview, partition, id);
  const found = (place: JobPlace): FoundJob => ({ place, marked: mark !== undefined, overview });
  if (grave !== undefined && !isNewer(grave, parked, reported)) return found({ at: "buried", grave });
  if (parked?.reason === "cancelled") return found({ at: "cancelled" });
  if (parked?.reason === "long" && parked.run !== undefined) return found({ at: "running", task: taskOf(parked.run), reported, long: parked });
  if (parked !== undefined && (reported === undefined || parked.since >= reported.report.at)) return found(await parkedPlace(deps, parked, overview));
  if (reported !== undefined) return found({ at: "running", task: reported.report.boot, reported, long: undefined });
  return found(ownKey === undefined ? { at: mark === undefined ? "unknown" : "cancelled" } : byOwnKey(ownKey, mark, clock.now()));
}

/** Whether a buried job has been retried since, by a person whose request died before it took the burial back; or its id has a later life. */
export async function isOver(deps: Deps, grave: BuriedJob): Promise<boolean> {
  const { partition, id } = grave;
  const [parked, overview, key] = await Promise.all([
    deps.store.parked.get({ partition, id }),
    readTasks(deps.store.tasks, deps.clock.now()),
    ownKeyOf(deps.store.queueKeys, partition, id),
  ]);
  return isNewer(grave, parked, reportedIn(overview, partition, id)) || isOutlived(grave, key);
}

function isNewer(grave: BuriedJob, parked: ParkedJob | undefined, reported: RunningJobAt | undefined): boolean {
  if (reported !== undefined && reported.job.startedAt > grave.buriedAt) return true;
  return parked !== undefined && grave.enqueuedAt !== undefined && isLater(parked, { enqueuedAt: grave.enqueuedAt, attempt: grave.attempt });
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

/** Where the life is that has the key of its id. A marker that hits it may have been overruled by a person's retry; but not at the first attempt. */
function byOwnKey(key: QueueKeyItem, mark: CancelMark | undefined, now: number): JobPlace {
  const { state, enqueuedAt = now, attempt, task, outbox } = key;
  if (state === "done") return mark?.hitLife === enqueuedAt ? { at: "cancelled" } : { at: "done", until: key.until ?? now };
  if (state === "running" && task !== undefined) return { at: "running", task, reported: undefined, long: undefined };
  if (outbox !== undefined)
    return { at: "parked", job: { ...outbox, claimed: false, rev: "" }, envelope: envelopeOf(outbox.body), blocker: undefined };
  return { at: mark !== undefined && enqueuedAt < mark.at && attempt === 1 ? "cancelled" : "queued" };
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
