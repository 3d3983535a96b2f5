import type { QueueKeyItem, QueueKeyStore } from "../keys/queue-key-store.ts";

/** The queue key that a caller's own id implies: the same id is accepted once while it is remembered. Never change it in a live table. */
export function ownIdKey(id: string): string {
  return `id:${id}`;
}

/**
 * The key of a job with an id of its caller's: it is there from its enqueueing on, until an hour after its end. A job with an
 * id of ours has none.
 * @throws StoreUnavailable
 */
export async function ownKeyOf(queueKeys: Pick<QueueKeyStore, "get">, partition: string, id: string): Promise<QueueKeyItem | undefined> {
  const key = await queueKeys.get({ partition, key: ownIdKey(id) });
  return key?.jobId === id ? key : undefined;
}
