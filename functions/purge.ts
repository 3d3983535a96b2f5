import type { Purged } from "../client/views.ts";
import { brokerQueue } from "../core/contract/names.ts";
import { forEachWithin } from "../core/contract/window.ts";
import { type Envelope, envelopeOf } from "../core/job/envelope.ts";
import { isOfLife, lifeOf } from "../core/job/life.ts";
import type { ParkedJob, ParkedReason } from "../core/job/parked.ts";
import type { QueuesDeps } from "./deps.ts";
import { type KeyRelease, keyRelease } from "./release-keys.ts";

/** One request takes messages for at most so long, and before that looks through parked jobs for so long. */
const BUDGET_MS = 7_000;
/** Messages that one request takes at most. */
const LIMIT = 2_000;
const PAGE = 100;
const WIDTH = 16;

/** Parked jobs that count as waiting in their queue; the others wait for a time that somebody chose, or run. */
const IN_QUEUE: ReadonlySet<ParkedReason> = new Set(["outbox", "waiting", "suspect"]);

/** The cursor once all parked jobs were looked through: none of their list is called that. */
const MESSAGES_ONLY = "messages";

interface At {
  readonly partition: string;
  readonly queue: string;
}

/**
 * Removes the jobs that wait in a queue, a part at a time: while there is a cursor, ask again with it. Those that are parked
 * on their way to it, on from where the last part ended, and messages of it; no hook is told. What tasks have in hands already
 * is theirs. It ends: the parked jobs are gone through once, and a part that could take none of the messages is the last.
 *
 * | a parked job | dies after | then |
 * |---|---|---|
 * | 1. made a `cancelled` one | 1 | nothing publishes it any more; the pump frees its keys and forgets it |
 * | 2. its keys are freed | 2 | the same |
 * | 3. forgotten | 3 | done |
 *
 * | a message | dies after | then |
 * |---|---|---|
 * | 1. taken, not acked | 1 | it is back in its queue |
 * | 2. its keys are freed | 2 | the same; a worker that gets it finds its queue key `done` and drops it |
 * | 3. acked | 3 | done |
 *
 * A key that a living run of the same job may hold is not freed, and its message stays: that run may hand it back.
 * @throws BrokerUnavailable, StoreUnavailable: ask again
 */
export async function purge(deps: QueuesDeps, at: At, cursor?: string): Promise<Purged> {
  const keys = keyRelease(deps);
  const parked = cursor === MESSAGES_ONLY ? { removed: 0, next: undefined } : await purgeParked(deps, keys, at, cursor);
  const messages = await deps.withQueues((queues) =>
    queues.take(brokerQueue(at.partition, at.queue), {
      limit: LIMIT,
      withinMs: BUDGET_MS,
      settle: (body) => settle(deps, keys, at, envelopeOf(body)),
    }),
  );
  // No such queue in RabbitMQ: nothing was ever queued there.
  const taken = messages ?? 0;
  // Not by what RabbitMQ counts: what the last part was sent and did not want may be on its way back.
  const next = parked.next ?? (taken > 0 ? MESSAGES_ONLY : null);
  return { removed: parked.removed + taken, more: next !== null, cursor: next };
}

/** @returns where the next part begins, if the time is up before the end */
async function purgeParked(
  { store, clock }: QueuesDeps,
  keys: KeyRelease,
  { partition, queue }: At,
  from: string | undefined,
): Promise<{ removed: number; next: string | undefined }> {
  const deadline = clock.monotonic() + BUDGET_MS;
  let removed = 0;
  let next = from;
  do {
    const page = await store.parked.list(partition, { limit: PAGE, ...(next === undefined ? {} : { cursor: next }) });
    const inQueue = page.jobs.filter((job) => job.queue === queue && IN_QUEUE.has(job.reason));
    await forEachWithin(WIDTH, inQueue, async (job) => {
      // Written anew since it was listed: it goes on, and is met again as what it is then.
      if (!(await store.parked.cancel(job, job.rev, clock.now()))) return;
      removed += 1;
      await forget(store, keys, job);
    });
    next = page.cursor;
  } while (next !== undefined && clock.monotonic() < deadline);
  return { removed, next };
}

/** Its part is done by the pump if we can't, and when there is no task it need not wait for one. */
async function forget(store: QueuesDeps["store"], keys: KeyRelease, ref: Pick<ParkedJob, "partition" | "id">): Promise<void> {
  const job = await store.parked.get(ref);
  if (job?.reason !== "cancelled") return;
  const envelope = envelopeOf(job.body);
  if (envelope === undefined || (await keys.release(envelope))) await store.parked.remove(job, job.rev);
}

/** @returns whether the message may go */
async function settle({ store, clock }: QueuesDeps, keys: KeyRelease, at: At, job: Envelope | undefined): Promise<boolean> {
  // What is no job, or came through a queue that is not its own, has no keys that it may free.
  if (job === undefined || job.partition !== at.partition || job.queue !== at.queue) return true;
  if (job.queue_key === undefined && job.execution_key === undefined) return true;
  const now = clock.now();
  const item = await store.parked.get(job);
  // Another life's item, of a caller's own id, is not this message's.
  const parked = item?.enqueuedAt === job.enqueued_at ? item : undefined;
  // A pump has published it and will delete the item: this message is the job, so the item goes first, its keys with the message.
  if (parked?.claimed === true) {
    if (!(await store.parked.cancel(parked, parked.rev, now))) return false;
  } else if (parked !== undefined && parked.reason !== "cancelled") {
    // Only a copy waits here: the job itself waits for its time, or runs, with the keys.
    return true;
  }
  const key = job.queue_key === undefined ? undefined : await store.queueKeys.get({ partition: job.partition, key: job.queue_key });
  if (key !== undefined && key.jobId === job.id && isOfLife(key, lifeOf(job)) && key.attempt > job.attempt) return true;
  return keys.release(job);
}
