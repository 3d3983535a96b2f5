import { validate, version } from "uuid";
import type { Clock } from "../contract/clock.ts";
import { RogerError } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import type { PartitionStore } from "../partition/partition-store.ts";
import type { CancelStore } from "./cancels.ts";
import type { ParkedStore } from "./parked.ts";

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
  readonly clock: Clock;
}

/** A parked job that is written anew all the time is on its way; the marker gets it. */
const ROUNDS = 5;

/**
 * Cancels a job, wherever it is, whether or not a worker lives.
 *
 * | dies after | then |
 * |---|---|
 * | 1. the marker is put | tasks that read the markers later see it; its caller got no answer and asks again |
 * | 2. the partition's row says that there is a new one | every task sees it: a running job is aborted, a queued one dropped when it comes up |
 * | 3. the parked item is made a `cancelled` one, due now | nothing publishes it any more; the pump frees its keys and removes it |
 *
 * A job that was published in the same instant comes up as a message, and meets its marker. Of all that meet the
 * marker, one runs `onCancel`.
 * @returns `undefined` when there is no such partition
 * @throws TooManyCancels; StoreUnavailable: ask again
 */
export async function cancelJob(
  { partitions, parked, cancels, clock }: CancelDeps,
  partition: string,
  id: string,
): Promise<CancelAnswer | undefined> {
  const now = clock.now();
  if (!(await cancels.mark(partition, id, hitsBefore(id, now)))) throw new TooManyCancels(partition);
  if (!(await partitions.announceCancel(partition))) return undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const job = await parked.get({ partition, id });
    if (job === undefined || job.reason === "long") return "cancelling";
    if (job.reason === "cancelled") return "cancelled";
    if (await parked.cancel(job, job.rev, now)) return job.claimed ? "cancelling" : "cancelled";
  }
  return "cancelling";
}

/**
 * A marker hits what was enqueued before it. An id of ours is never enqueued again, so its marker hits whatever the clocks
 * of the two machines say; an id of the caller's may be, right after.
 */
function hitsBefore(id: string, now: number): number {
  return validate(id) && version(id) === 7 ? Number.MAX_SAFE_INTEGER : now;
}
