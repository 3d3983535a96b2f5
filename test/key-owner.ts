import type { JobLife } from "../core/job/life.ts";
import type { QueueKeyRef } from "../core/keys/queue-key-ref.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";

/** The life that has a queue key, as it is named by whoever acts for it. @throws Error when nobody has it */
export async function ownerOf(queueKeys: Pick<QueueKeyStore, "get">, ref: QueueKeyRef): Promise<JobLife> {
  const found = await queueKeys.get(ref);
  if (found?.enqueuedAt === undefined) throw new Error(`nobody has the key ${ref.key}`);
  return { job: found.jobId, enqueuedAt: found.enqueuedAt };
}
