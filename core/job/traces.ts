import type { QueueKeyItem, QueueKeyStore } from "../keys/queue-key-store.ts";
import type { BuriedJob, BuriedStore } from "./buried.ts";
import type { CancelMark, CancelStore } from "./cancels.ts";
import { ownKeyOf } from "./own-id.ts";
import type { ParkedJob, ParkedStore } from "./parked.ts";

/** What the table tells of a job; where that is, core/job/place.ts says. */
export interface JobTraces {
  readonly parked: ParkedJob | undefined;
  readonly grave: BuriedJob | undefined;
  /** Of a caller's own id only. */
  readonly ownKey: QueueKeyItem | undefined;
  /** Its cancelling was asked for, and no person has retried it since. */
  readonly mark: CancelMark | undefined;
}

export interface TracePorts {
  readonly parked: Pick<ParkedStore, "get">;
  readonly buried: Pick<BuriedStore, "get">;
  readonly queueKeys: Pick<QueueKeyStore, "get">;
  readonly cancels: Pick<CancelStore, "get">;
}

/** Four strong reads. @throws StoreUnavailable */
export async function tracesOf({ parked, buried, queueKeys, cancels }: TracePorts, partition: string, id: string): Promise<JobTraces> {
  const [item, grave, ownKey, mark] = await Promise.all([
    parked.get({ partition, id }),
    buried.get(partition, id),
    ownKeyOf(queueKeys, partition, id),
    cancels.get(partition, id),
  ]);
  return { parked: item, grave, ownKey, mark: mark?.pardoned ? undefined : mark };
}
