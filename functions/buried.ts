import type { RetriedBuried, RetryBuried } from "../client/views.ts";
import { RogerError } from "../core/contract/errors.ts";
import { forEachWithin } from "../core/contract/window.ts";
import type { BuriedJob } from "../core/job/buried.ts";
import { DuplicateJob } from "../core/job/duplicate-job.ts";
import { type Envelope, InvalidEnvelope } from "../core/job/envelope.ts";
import { buriedEnvelope, reviveJob } from "../core/job/revive.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import { listedQueues, type Partition } from "../core/partition/partition.ts";
import type { Deps } from "./deps.ts";
import { problemOf, RequestRefused } from "./problem.ts";

/** One request looks at so many jobs, for so long, whatever comes first. */
const LOOKED_AT = 500;
const BUDGET_MS = 10_000;
const PAGE = 50;
/** Retries under way at the same moment. */
const WIDTH = 10;

/** @throws RequestRefused `not_buried` */
export async function buriedJob({ store }: Pick<Deps, "store">, partition: string, id: string): Promise<BuriedJob> {
  const grave = await store.buried.get(partition, id);
  if (grave === undefined) throw new RequestRefused("not_buried", `job ${id} is not buried`);
  return grave;
}

/**
 * Retries one buried job: it runs again from attempt 1, its history kept (the crash table is core/job/revive.ts's).
 * @throws RequestRefused `not_retryable`; CommandRefused `unknown_queue`; DuplicateJob when its
 *   queue key is another job's by now; StoreUnavailable: ask again
 */
export async function retryBuried({ store, clock }: Deps, partition: Partition, grave: BuriedJob): Promise<void> {
  checkListed(partition, grave, readable(grave));
  // It was given up after too many starts; a person's retry is a new beginning.
  if (grave.reason === "poison") await store.suspects.cleared(partition.id, grave.id);
  const revived = await reviveJob({ ...store, clock }, grave);
  if (revived.kind === "revived") return;
  const { jobId } = revived.holder;
  if (jobId !== grave.id) throw new DuplicateJob(jobId);
  // By a request that died before it took the burial back; or the key is still being left by the run that was buried. Which
  // of the two can't be told, and to take the burial away in the second case could lose the job.
  const told = `job ${jobId} has its own queue key: it is being buried in this moment, or was retried before; delete what is buried of it if it runs`;
  throw new RequestRefused("duplicate_job", told, undefined, { existing_job_id: jobId });
}

/** Retries a part of the buried jobs, in the order of their ids. @throws StoreUnavailable: ask again for the same part */
export async function retryAllBuried(deps: Deps, partition: Partition, { name, cursor }: RetryBuried): Promise<RetriedBuried> {
  const deadline = deps.clock.monotonic() + BUDGET_MS;
  const failed: { job_id: string; code: string }[] = [];
  let retried = 0;
  let looked = 0;
  let next = cursor;
  do {
    const page = await deps.store.buried.list(partition.id, { limit: PAGE, ...(next === undefined ? {} : { cursor: next }) });
    const wanted = page.jobs.filter((grave) => name === undefined || grave.name === name);
    await forEachWithin(WIDTH, wanted, async (grave) => {
      const code = await codeOf(() => retryBuried(deps, partition, grave));
      if (code === undefined) retried += 1;
      else failed.push({ job_id: grave.id, code });
    });
    looked += page.jobs.length;
    next = page.cursor;
  } while (next !== undefined && looked < LOOKED_AT && deps.clock.monotonic() < deadline);
  return { retried, failed, more: next !== undefined, cursor: next ?? null };
}

/** What a retry was refused with; `undefined`: it was not. What is no refusal is thrown on. */
async function codeOf(retry: () => Promise<void>): Promise<string | undefined> {
  try {
    await retry();
    return undefined;
  } catch (error) {
    if (error instanceof RogerError && problemOf(error).status < 500) return error.code;
    throw error;
  }
}

/** @throws RequestRefused `conflict` when it was buried anew meanwhile */
export async function deleteBuried(deps: Pick<Deps, "store">, grave: BuriedJob): Promise<void> {
  if (await deps.store.buried.remove(grave.partition, grave.id, grave.rev)) return;
  // Gone is what was wanted.
  if ((await deps.store.buried.get(grave.partition, grave.id)) === undefined) return;
  throw new RequestRefused("conflict", `job ${grave.id} was buried anew in this moment: look at it, then try again`);
}

/** @throws RequestRefused `not_retryable` */
function readable(grave: BuriedJob): Envelope {
  try {
    return buriedEnvelope(grave);
  } catch (error) {
    if (!(error instanceof InvalidEnvelope)) throw error;
    throw new RequestRefused("not_retryable", `what is buried as ${grave.id} is no job of this partition (${error.message})`);
  }
}

function checkListed(partition: Partition, grave: BuriedJob, { queue }: Envelope): void {
  const listed = listedQueues(partition);
  if (listed.includes(queue)) return;
  throw new CommandRefused("unknown_queue", `job ${grave.id} goes to queue "${queue}"; partition ${partition.id} has ${listed.join(", ") || "none"}`);
}
