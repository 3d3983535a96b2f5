import { DEAD_QUEUE } from "../core/contract/names.ts";
import type { MemoryMessage, MemoryQueue, MemoryState } from "./memory-state.ts";

/** A message that came back more often is a dead letter. (`x-delivery-limit` of a tenant's queue.) */
const DELIVERY_LIMIT = 10_000;

/** A message in somebody's hands. The tag is its own in the whole state. */
export interface TakenMessage {
  readonly tag: string;
  readonly message: MemoryMessage;
}

export function declareQueue(state: MemoryState, name: string): MemoryQueue {
  const queue = state.queues[name] ?? { returned: [], fresh: [], unacked: {} };
  state.queues[name] = queue;
  return queue;
}

/** @returns `false` when there is no such queue */
export function pushMessage(state: MemoryState, name: string, message: MemoryMessage): boolean {
  return state.queues[name]?.fresh.push(message) !== undefined;
}

/** The next message: what came back first, in the order in which it did; that is how a quorum queue with a delivery limit has it. */
export function takeMessage(state: MemoryState, name: string): TakenMessage | undefined {
  const queue = state.queues[name];
  const message = queue?.returned.shift() ?? queue?.fresh.shift();
  if (queue === undefined || message === undefined) return undefined;
  state.writes += 1;
  const tag = `m${state.writes}`;
  queue.unacked[tag] = message;
  return { tag, message };
}

/** Nothing happens when the message is not in anybody's hands any longer, as with `returnMessage`. */
export function ackMessage(state: MemoryState, name: string, tag: string): void {
  delete state.queues[name]?.unacked[tag];
}

export function returnMessage(state: MemoryState, name: string, tag: string): void {
  const queue = state.queues[name];
  const message = queue?.unacked[tag];
  if (queue === undefined || message === undefined) return;
  delete queue.unacked[tag];
  const back = { ...message, returns: message.returns + 1 };
  if (name === DEAD_QUEUE || back.returns <= DELIVERY_LIMIT) queue.returned.push(back);
  else declareQueue(state, DEAD_QUEUE).fresh.push({ ...message, returns: 0, deadFrom: name });
}

/** Messages ready. */
export function depthOf({ returned, fresh }: MemoryQueue): number {
  return returned.length + fresh.length;
}

/** What is in anybody's hands goes back, in the order in which it was given out. */
export function returnAll(state: MemoryState): void {
  for (const [name, { unacked }] of Object.entries(state.queues)) {
    const byAge = Object.keys(unacked).sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
    for (const tag of byAge) returnMessage(state, name, tag);
  }
}
