import { type Envelope, envelopeOf } from "../core/job/envelope.ts";
import { type JobPlace, placeOf, reportedRuns } from "../core/job/place.ts";
import { tracesOf } from "../core/job/traces.ts";
import type { Deps } from "./deps.ts";
import { liveReports, readTasks, type TaskOverview } from "./live-tasks.ts";

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

export interface FoundJob {
  readonly place: JobPlace;
  /** Of a parked job that is `waiting`. */
  readonly blocker: Blocker | undefined;
  /** Its cancelling was asked for, and no person has retried it since. */
  readonly marked: boolean;
  readonly overview: TaskOverview;
}

/** Finds a job: what the table and the tasks' reports tell of it, and what it waits for. */
export async function findJob(deps: Deps, partition: string, id: string): Promise<FoundJob> {
  const { store, clock } = deps;
  const [traces, overview] = await Promise.all([tracesOf(store, partition, id), readTasks(store.tasks, clock.now())]);
  const place = placeOf(traces, reportedRuns(liveReports(overview), partition).get(id));
  const waiting = place.at === "parked" && place.job.reason === "waiting" ? envelopeOf(place.job.body) : undefined;
  const blocker = waiting === undefined ? undefined : await blockerOf(deps, waiting, overview);
  return { place, blocker, marked: traces.mark !== undefined, overview };
}

/** Its execution key's lock tells who has it; a job that waits for a run of its own is told by its queue key. */
async function blockerOf({ store }: Deps, { id, partition, execution_key, queue_key }: Envelope, overview: TaskOverview): Promise<Blocker> {
  const [lock, own] = await Promise.all([
    execution_key === undefined ? undefined : store.executionKeys.read({ partition, key: execution_key }),
    queue_key === undefined ? undefined : store.queueKeys.get({ partition, key: queue_key }),
  ]);
  const runs = reportedRuns(liveReports(overview), partition);
  const since = (job: string): number | undefined => runs.get(job)?.job.startedAt;
  if (own?.jobId === id && own.task !== undefined) return { key: undefined, holder: { job: id, task: own.task, since: since(id) } };
  const held = lock?.holder !== undefined && lock.task !== undefined ? { job: lock.holder, task: lock.task, since: since(lock.holder) } : undefined;
  return { key: execution_key, holder: held };
}
