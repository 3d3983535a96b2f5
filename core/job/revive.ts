import type { Clock } from "../contract/clock.ts";
import type { QueueKeyItem, QueueKeyStore } from "../keys/queue-key-store.ts";
import type { BuriedJob, BuriedStore } from "./buried.ts";
import { acceptJob } from "./enqueue.ts";
import { decodeEnvelope, type Envelope, encodeEnvelope, withoutWaits } from "./envelope.ts";
import { ownIdKey } from "./new-job.ts";
import type { NewParkedJob, ParkedStore } from "./parked.ts";

export interface ReviveDeps {
  readonly buried: Pick<BuriedStore, "remove">;
  readonly parked: Pick<ParkedStore, "park">;
  readonly queueKeys: QueueKeyStore;
  readonly clock: Clock;
}

/** `taken`: its queue key belongs to another job by now. */
export type Revived = { readonly kind: "revived" } | { readonly kind: "taken"; readonly holder: QueueKeyItem };

/**
 * A person's retry of a buried job: it runs again from attempt 1, its history kept.
 *
 * | dies after | then |
 * |---|---|
 * | 1. its queue key is claimed, the job inside | the pump parks it and it runs; it is still listed as buried, of an earlier attempt |
 * | 2. it is parked | the same |
 * | 3. it is no longer buried | done |
 *
 * Two people who retry the same job in the same instant may make it run twice.
 * @throws InvalidEnvelope when what is buried is no job; StoreUnavailable: ask again
 */
export async function reviveJob({ buried, parked, queueKeys, clock }: ReviveDeps, grave: BuriedJob): Promise<Revived> {
  const envelope = revivedEnvelope(grave);
  const { id, partition, name, queue, attempt, queue_key } = envelope;
  const now = clock.now();
  const job: NewParkedJob = { id, partition, name, queue, attempt, reason: "outbox", due: now, since: now, body: encodeEnvelope(envelope) };
  const key = queue_key === undefined ? undefined : { ref: { partition, key: queue_key }, takeDone: !isOwnIdKey(envelope) };
  const accepted = await acceptJob({ queueKeys, clock }, job, key, async (delivered) => void (await parked.park(delivered)));
  if (!accepted.accepted) return { kind: "taken", holder: accepted.holder };
  await buried.remove(partition, id, grave.rev);
  return { kind: "revived" };
}

/** The protocol's attempt only rises, so that what was written about the job before can't be taken for newer. */
function revivedEnvelope(grave: BuriedJob): Envelope {
  const envelope = withoutWaits(decodeEnvelope(grave.body));
  const before = Math.max(grave.attempt, envelope.attempt);
  return { ...envelope, attempt: before + 1, attempts_before: before, ...(grave.history.length === 0 ? {} : { history: grave.history }) };
}

function isOwnIdKey({ id, queue_key }: Envelope): boolean {
  return queue_key === ownIdKey(id);
}
