import type { Cancelled } from "../client/views.ts";
import { describeError } from "../core/contract/errors.ts";
import { cancelJob } from "../core/job/cancel.ts";
import { decodeEnvelope } from "../core/job/envelope.ts";
import type { ParkedJob } from "../core/job/parked.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import type { Deps } from "./deps.ts";
import { findJob } from "./find-job.ts";
import { RequestRefused } from "./problem.ts";
import { keyRelease } from "./release-keys.ts";

/**
 * Cancels a job (the crash table is core/job/cancel.ts's). What was parked will not run, so its keys are freed here and
 * now where that is safe; whatever is not, or fails, the worker that clears the job away does a moment later.
 * @throws CommandRefused `unknown_partition`; RequestRefused `job_buried`; TooManyCancels; StoreUnavailable: ask again
 */
export async function cancel(deps: Deps, partition: string, id: string): Promise<Cancelled> {
  const { store, clock } = deps;
  const ref = { partition, id };
  const grave = await store.buried.get(partition, id);
  // It may have been retried since, or its id have a later life.
  if (grave !== undefined && (await findJob(deps, partition, id)).place.at === "buried") {
    throw new RequestRefused("job_buried", `job ${id} is buried: it won't run unless somebody retries it; delete it if it is not wanted`);
  }
  const state = await cancelJob({ ...store, clock }, partition, id);
  if (state === undefined) throw new CommandRefused("unknown_partition", `there is no partition "${partition}"`);
  if (state === "cancelled") await freeKeys(deps, await store.parked.get(ref));
  return { job_id: id, state };
}

/** The job stays cancelled whatever becomes of this. */
async function freeKeys(deps: Deps, parked: ParkedJob | undefined): Promise<void> {
  // Gone: a worker was faster. Not cancelled any more: that is another job with the same id.
  if (parked?.reason !== "cancelled") return;
  try {
    await keyRelease(deps).release(decodeEnvelope(parked.body));
  } catch (error) {
    deps.log.warn("a cancelled job's keys are left to a worker", { partition: parked.partition, job: parked.id, error: describeError(error) });
  }
}
