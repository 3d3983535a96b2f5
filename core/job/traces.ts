import type { QueueKeyItem, QueueKeyStore } from "../keys/queue-key-store.ts";
import type { BuriedJob, BuriedStore } from "./buried.ts";
import { ownKeyOf } from "./own-id.ts";
import type { ParkedJob, ParkedStore } from "./parked.ts";

/** What the table tells of a job. */
export interface JobTraces {
  readonly parked: ParkedJob | undefined;
  readonly grave: BuriedJob | undefined;
  /** Of a caller's own id only. */
  readonly ownKey: QueueKeyItem | undefined;
}

export interface TracePorts {
  readonly parked: Pick<ParkedStore, "get">;
  readonly buried: Pick<BuriedStore, "get">;
  readonly queueKeys: Pick<QueueKeyStore, "get">;
}

/** Three strong reads. What an earlier life of the id has left is no trace of the one that has it now. @throws StoreUnavailable */
export async function tracesOf({ parked, buried, queueKeys }: TracePorts, partition: string, id: string): Promise<JobTraces> {
  const [item, grave, ownKey] = await Promise.all([parked.get({ partition, id }), buried.get(partition, id), ownKeyOf(queueKeys, partition, id)]);
  return { parked: unlessOutlived(item, ownKey), grave: unlessOutlived(grave, ownKey), ownKey };
}

/** Whether a job's own-id key tells that the id is a later life's by now, which has not ended: what an item tells of an earlier one is past. */
export function isOutlived({ enqueuedAt }: { readonly enqueuedAt?: number }, ownKey: QueueKeyItem | undefined): boolean {
  return ownKey?.enqueuedAt !== undefined && ownKey.state !== "done" && enqueuedAt !== undefined && enqueuedAt < ownKey.enqueuedAt;
}

function unlessOutlived<T extends { readonly enqueuedAt?: number }>(item: T | undefined, ownKey: QueueKeyItem | undefined): T | undefined {
  return item === undefined || isOutlived(item, ownKey) ? undefined : item;
}
