import type { Clock } from "../contract/clock.ts";
import { BrokerUnavailable } from "../contract/errors.ts";
import type { QueueKeyHandle, QueueKeyRef } from "../keys/queue-key-ref.ts";
import type { QueueKeyItem, QueueKeyStore } from "../keys/queue-key-store.ts";
import { lifeOfParked, type NewParkedJob, type ParkedStore } from "./parked.ts";

/** The key a new job must have before it is accepted. */
export interface NewJobKey {
  readonly ref: QueueKeyRef;
  /** Whether a key that is `done` is free already. Not for a caller's own id: it stays taken while it is remembered. */
  readonly takeDone: boolean;
}

export type Accepted = { readonly accepted: true } | { readonly accepted: false; readonly holder: QueueKeyItem };

/** How long the enqueuer has for its own delivery before the pump makes it; more than two clocks differ by. */
const OUTBOX_MS = 30_000;
const ROUNDS = 5;

/**
 * Accepts a job: once this resolves it is durable. `deliver` brings it to where it waits: into its RabbitMQ queue, or
 * parked. With a queue key the job is first written into the key's own item, so that key and job are there together
 * or not at all.
 *
 * Its place among the parked may be taken by an earlier life of the same id that was cancelled and not cleared away yet:
 * then the job stays in its key, and the pump tries again every 30 s.
 *
 * | dies after | then |
 * |---|---|
 * | nothing | nothing was accepted, no key is taken |
 * | 1. claim: the key with the job inside, due in 30 s | the pump parks the job and goes on at 3; not parked, it does not |
 * | 2. deliver | the pump delivers a second time: the copy finds the key running or done, and is dropped |
 * | 3. `queued`: the job is dropped from the key's item | done |
 *
 * A delivery that fails for want of the broker or the table fails nothing: the key is the job's outbox.
 * @throws StoreUnavailable when the claim may or may not have been written: asked again, a job with an id of the
 *   caller's finds its own key; `deliver`'s own errors when there is no key
 * @param deliver answers whether the job is where it belongs; else its key keeps it (one without a key it never refuses)
 */
export async function acceptJob(
  { queueKeys, clock }: { readonly queueKeys: QueueKeyStore; readonly clock: Clock },
  job: NewParkedJob,
  key: NewJobKey | undefined,
  deliver: (job: NewParkedJob) => Promise<boolean>,
): Promise<Accepted> {
  if (key === undefined) {
    await deliver(job);
    return { accepted: true };
  }
  const holder = await claim(queueKeys, clock, job, key);
  if (holder !== undefined) return { accepted: false, holder };
  try {
    if (await deliver(job)) await queueKeys.published(key.ref, lifeOfParked(job));
  } catch (error) {
    if (!isOutage(error)) throw error;
  }
  return { accepted: true };
}

/** @returns who holds the key; `undefined`: it is this job's now */
async function claim(queueKeys: QueueKeyStore, clock: Clock, job: NewParkedJob, { ref, takeDone }: NewJobKey): Promise<QueueKeyItem | undefined> {
  for (let round = 0; round < ROUNDS; round++) {
    const now = clock.now();
    const answer = await queueKeys.claim(ref, { outbox: job, due: now + OUTBOX_MS, now, takeDone });
    if (answer.claimed) return undefined;
    // Gone between the refusal and the look at it: free by now.
    if (answer.holder !== undefined) return answer.holder;
  }
  throw new BrokerUnavailable(`the queue key of job ${job.id} changes hands all the time`);
}

/** The pump's part: parks what an enqueuer left in its key. @returns whether there was anything to do */
export async function deliverOutbox(
  { queueKeys, parked }: { readonly queueKeys: QueueKeyStore; readonly parked: Pick<ParkedStore, "park"> },
  handle: QueueKeyHandle,
  now: number,
  until: number,
): Promise<boolean> {
  const item = await queueKeys.claimOutbox(handle, now, until);
  if (item?.outbox === undefined) return false;
  // Refused by a later attempt of the same life: then it has run, and the key is past `publishing` already. By an earlier
  // life that is to be cleared away first: the key must keep the job.
  if ((await parked.park(item.outbox)) === undefined) return true;
  await queueKeys.published(handle, lifeOfParked(item.outbox));
  return true;
}

function isOutage(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "broker_unavailable" || error.code === "store_unavailable");
}
