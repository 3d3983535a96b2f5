import type { BuriedJob } from "../core/job/buried.ts";
import { attemptOf, decodeEnvelope, type Json } from "../core/job/envelope.ts";
import type { ParkedJob } from "../core/job/parked.ts";
import type { MemoryState } from "./memory-state.ts";
import { depthOf } from "./queue-state.ts";

/** A job as a test looks at it. */
export interface SeenJob {
  readonly id: string;
  readonly name: string;
  readonly partition: string;
  readonly queue: string;
  /** As its handler counts: 1 for the first try. */
  readonly attempt: number;
  readonly args: Json;
  /** Epoch ms. */
  readonly enqueuedAt: number;
}

/** A job that waits for a time or a key. */
export interface SeenParkedJob extends SeenJob, Pick<ParkedJob, "reason" | "due"> {}

/** A job that is dead. */
export interface SeenBuriedJob extends SeenJob, Pick<BuriedJob, "reason" | "error" | "history"> {}

/** The whole job in a message or an item. @throws InvalidEnvelope when it is none */
export function seenJob(body: string): SeenJob {
  const envelope = decodeEnvelope(body);
  const { id, name, partition, queue, args, enqueued_at } = envelope;
  return { id, name, partition, queue, attempt: attemptOf(envelope), args, enqueuedAt: enqueued_at };
}

/** In the order in which they will run. */
export function queuedJobs({ queues }: MemoryState): SeenJob[] {
  return Object.values(queues)
    .filter((queue) => depthOf(queue) > 0)
    .flatMap(({ returned, fresh }) => [...returned, ...fresh].map(({ body }) => seenJob(body)));
}

/** The one that is due first comes first. What waits in its queue key to be brought on its way is among them. */
export function parkedJobs({ parked, queueKeys }: MemoryState): SeenParkedJob[] {
  const outboxes = Object.values(queueKeys).flatMap(({ outbox }) => outbox ?? []);
  return [...Object.values(parked), ...outboxes].map(({ body, reason, due }) => ({ ...seenJob(body), reason, due })).sort((a, b) => a.due - b.due);
}

/** In the order of their burial. */
export function buriedJobs({ buried }: MemoryState): SeenBuriedJob[] {
  return Object.values(buried)
    .sort((a, b) => a.buriedAt - b.buriedAt)
    .map(({ body, reason, error, history }) => ({ ...seenJob(body), reason, error, history }));
}
