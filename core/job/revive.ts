import type { Clock } from "../contract/clock.ts";
import type { QueueKeyItem, QueueKeyStore } from "../keys/queue-key-store.ts";
import type { BuriedJob, BuriedStore } from "./buried.ts";
import { type CancelStore, pardonOf } from "./cancels.ts";
import { acceptJob } from "./enqueue.ts";
import { decodeEnvelope, type Envelope, InvalidEnvelope, withoutWaits } from "./envelope.ts";
import { ownIdKey } from "./own-id.ts";
import { type ParkedStore, parkedJob } from "./parked.ts";

export interface ReviveDeps {
  readonly buried: Pick<BuriedStore, "remove">;
  readonly parked: Pick<ParkedStore, "park">;
  readonly queueKeys: QueueKeyStore;
  readonly cancels: Pick<CancelStore, "get" | "pardon">;
  readonly clock: Clock;
}

/** `taken`: its queue key belongs to another job by now. */
export type Revived = { readonly kind: "revived" } | { readonly kind: "taken"; readonly holder: QueueKeyItem };

/**
 * A person's retry of a buried job: it runs again from attempt 1, its history kept.
 *
 * | dies after | then |
 * |---|---|
 * | 1. its marker, if it was cancelled, says that this is overruled | it is buried, as before |
 * | 2. its queue key is claimed, the job inside | the pump parks it and it runs; it is still listed as buried, of an earlier attempt |
 * | 3. it is parked | the same |
 * | 4. it is no longer buried | done |
 *
 * The later wish wins: a marker that was put before, whenever that was, does not hit the job any more, whose envelope names it
 * as pardoned, with all that were before it, of which a task may not have heard more; one that is put from now on does.
 *
 * Two people who retry the same job in the same instant may make it run twice: if it has no queue key, or if the second comes
 * to the key when the first run has ended already.
 * @throws InvalidEnvelope when what is buried is no job of that partition and id; StoreUnavailable: ask again
 */
export async function reviveJob({ buried, parked, queueKeys, cancels, clock }: ReviveDeps, grave: BuriedJob): Promise<Revived> {
  const { partition, id } = grave;
  const dead = buriedEnvelope(grave);
  const now = clock.now();
  const mark = await cancels.get(partition, id);
  if (mark !== undefined) await cancels.pardon(partition, id, mark.rev);
  const envelope = revivedEnvelope(grave, dead, pardonOf(mark, now));
  const job = parkedJob(envelope, { reason: "outbox", due: now, since: now });
  const { queue_key } = envelope;
  const key = queue_key === undefined ? undefined : { ref: { partition, key: queue_key }, takeDone: queue_key !== ownIdKey(id) };
  const accepted = await acceptJob({ queueKeys, clock }, job, key, async (delivered) => (await parked.park(delivered)) !== undefined);
  if (!accepted.accepted) return { kind: "taken", holder: accepted.holder };
  await buried.remove(partition, id, grave.rev);
  return { kind: "revived" };
}

/**
 * The job as it was buried. n.b. a message that came through another tenant's queue is buried whole, and is not this
 * partition's to run.
 * @throws InvalidEnvelope
 */
export function buriedEnvelope({ partition, id, body }: BuriedJob): Envelope {
  const envelope = decodeEnvelope(body);
  if (envelope.partition !== partition || envelope.id !== id) throw new InvalidEnvelope("envelope", "it came through a queue that is not its own");
  return envelope;
}

/** The protocol's attempt only rises, so that what was written about the job before can't be taken for newer. */
function revivedEnvelope(grave: BuriedJob, dead: Envelope, pardon: ReturnType<typeof pardonOf>): Envelope {
  const { pardoned: _, pardoned_seq: __, ...envelope } = withoutWaits(dead);
  const before = Math.max(grave.attempt, envelope.attempt);
  return {
    ...envelope,
    attempt: before + 1,
    attempts_before: before,
    ...(grave.history.length === 0 ? {} : { history: grave.history }),
    ...pardon,
  };
}
