import { validate, version } from "uuid";
import type { Clock } from "../contract/clock.ts";
import { RogerError } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import type { QueueKeyStore } from "../keys/queue-key-store.ts";
import type { PartitionStore } from "../partition/partition-store.ts";
import { type CancelStore, EVERY_LIFE } from "./cancels.ts";
import { ownKeyOf } from "./own-id.ts";
import type { ParkedRef, ParkedStore } from "./parked.ts";

/** `cancelled`: it will not run. `cancelling`: it runs, or can't be seen from here; whoever has it in hands ends it, unless it ends by itself first. */
export type CancelAnswer = "cancelled" | "cancelling";

/** The partition has 10,000 cancel markers already. */
export class TooManyCancels extends RogerError {
  constructor(partition: string) {
    super("too_many_cancels", `partition ${partition} has ${LIMITS.cancelMarkers} cancelled jobs in memory; each is forgotten after 7 days`);
    this.name = "TooManyCancels";
  }
}

export interface CancelDeps {
  readonly partitions: Pick<PartitionStore, "announceCancel">;
  readonly parked: Pick<ParkedStore, "get" | "cancel">;
  readonly cancels: Pick<CancelStore, "mark">;
  readonly queueKeys: Pick<QueueKeyStore, "get">;
  readonly clock: Clock;
}

/** A parked job that is written anew all the time is on its way; the marker gets it. (And an id has no new life all the time.) */
const ROUNDS = 5;

/** A life that neither a key nor an item tells of was enqueued longer ago than this, or not at all: room for clocks that differ. */
const UNSEEN_MS = LIMITS.doneKeyMs / 2;

/**
 * Cancels a job, wherever it is, whether or not a worker lives.
 *
 * | dies after | then |
 * |---|---|
 * | 1. its life is looked up | nothing was written |
 * | 2. the marker is put | tasks that read the markers later see it; its caller got no answer and asks again |
 * | 3. the partition's row says that there is a new one | every task sees it: a running job is aborted, a queued one dropped when it comes up |
 * | 4. the parked item is made a `cancelled` one, due now | nothing publishes it any more; the pump frees its keys and removes it |
 *
 * A job that was published in the same instant comes up as a message, and meets its marker. Of all that meet the
 * marker, one runs `onCancel`.
 * @returns `undefined` when there is no such partition
 * @throws TooManyCancels; StoreUnavailable: ask again
 */
export async function cancelJob(deps: CancelDeps, partition: string, id: string): Promise<CancelAnswer | undefined> {
  for (let round = 0; round < ROUNDS; round++) {
    const target = await targetOf(deps, partition, id);
    if (target.marker !== undefined && !(await deps.cancels.mark(partition, id, target.marker))) throw new TooManyCancels(partition);
    if (!(await deps.partitions.announceCancel(partition))) return undefined;
    const answer = await cancelParked(deps, { partition, id }, target);
    if (answer !== undefined) return answer;
  }
  return "cancelling";
}

/** @returns `undefined` when a life has come up that nothing told of before: the marker is not for it */
async function cancelParked({ parked, clock }: CancelDeps, ref: ParkedRef, { marker, life }: Target): Promise<CancelAnswer | undefined> {
  for (let round = 0; round < ROUNDS; round++) {
    const job = await parked.get(ref);
    if (job === undefined || (life !== undefined && job.enqueuedAt !== life)) return "cancelling";
    if (life === undefined && marker !== undefined && marker !== EVERY_LIFE && job.enqueuedAt >= marker) return undefined;
    if (job.reason === "long") return "cancelling";
    if (job.reason === "cancelled") return "cancelled";
    // What is parked of a life that has ended is a copy, which its key drops.
    if (marker === undefined) return "cancelling";
    if (await parked.cancel(job, job.rev, clock.now())) return job.claimed ? "cancelling" : "cancelled";
  }
  return "cancelling";
}

interface Target {
  /** The marker's time; absent where nothing is left to end. */
  readonly marker: number | undefined;
  /** `enqueuedAt`; absent where the id has one life only. */
  readonly life: number | undefined;
}

/**
 * Which life is meant. A marker hits what was enqueued before it, so it gets the life's own time and a millisecond: that is
 * its enqueuer's clock, whatever ours says, and a later life of the id is not hit.
 *
 * | what the table has | the marker hits |
 * |---|---|
 * | the key of the id, which a caller's own has from its enqueueing on | that life; `done`: it has ended, and none is put |
 * | none, and the id is of ours | the job, which is never enqueued again |
 * | none, but a parked job | that life: its key was lost, or it is a copy of what has ended |
 * | nothing | what was enqueued half an hour ago or earlier, should there be such a message without its key |
 */
async function targetOf({ queueKeys, parked, clock }: CancelDeps, partition: string, id: string): Promise<Target> {
  const key = await ownKeyOf(queueKeys, partition, id);
  if (key !== undefined) {
    const { enqueuedAt: life } = key;
    if (key.state === "done") return { marker: undefined, life };
    return { marker: life === undefined ? clock.now() : life + 1, life };
  }
  if (validate(id) && version(id) === 7) return { marker: EVERY_LIFE, life: undefined };
  const life = (await parked.get({ partition, id }))?.enqueuedAt;
  return { marker: life === undefined ? clock.now() - UNSEEN_MS : life + 1, life };
}
