import type { Clock } from "../core/contract/clock.ts";
import type { BuriedJob } from "../core/job/buried.ts";
import type { CancelMark } from "../core/job/cancels.ts";
import type { JobLife } from "../core/job/life.ts";
import type { ParkedJob } from "../core/job/parked.ts";
import type { Lock } from "../core/keys/execution-key-store.ts";
import type { QueueKeyHandle } from "../core/keys/queue-key-ref.ts";
import type { QueueKeyItem } from "../core/keys/queue-key-store.ts";
import type { Hook } from "./calls.ts";

/**
 * All that DynamoDB and RabbitMQ would hold, as one plain object of JSON values. Items are replaced, never changed in
 * place, so what a reader was given stays as it was read.
 *
 * Names of items are `<partition>/<rest>`: no partition id holds a slash, and no such name is one that objects have by themselves.
 */
export interface MemoryState {
  /** Writes so far: what makes each `rev` new, and a replay of the same calls the same. */
  writes: number;
  /** By `<partition>/<job>`, as `buried` and `suspects`. */
  parked: Record<string, ParkedJob>;
  buried: Record<string, BuriedJob>;
  suspects: Record<string, SuspectCount>;
  /** By `<partition>/<hash>`. */
  queueKeys: Record<string, QueueKeyRecord>;
  /** By `<partition>/<key>`, as `waiters`. */
  locks: Record<string, Lock>;
  waiters: Record<string, readonly JobLife[]>;
  /** By partition, with a slash at its end; then by job. */
  cancels: Record<string, Readonly<Record<string, CancelRecord>>>;
  /** By the queue's name in RabbitMQ. */
  queues: Record<string, MemoryQueue>;
}

export interface SuspectCount {
  readonly count: number;
  /** Epoch ms. */
  readonly expires: number;
}

export interface QueueKeyRecord extends QueueKeyItem {
  readonly handle: QueueKeyHandle;
}

export interface CancelRecord extends CancelMark {
  /** Who was told that the job was cancelled by it. */
  readonly hit?: string;
  /** Epoch ms. */
  readonly expires: number;
}

/** A quorum queue: what came back goes out again before what has not been delivered yet. */
export interface MemoryQueue {
  readonly returned: MemoryMessage[];
  readonly fresh: MemoryMessage[];
  /** In the hands of a consumer, by tag. */
  readonly unacked: Record<string, MemoryMessage>;
}

export interface MemoryMessage {
  readonly id: string;
  readonly partition: string;
  readonly body: string;
  readonly traceparent?: string;
  /** How often it came back. */
  readonly returns: number;
  /** The queue in which it was given up. */
  readonly deadFrom?: string;
}

/** What every twin is made of. */
export interface MemoryWorld {
  readonly state: MemoryState;
  readonly clock: Clock;
  readonly hook: Hook;
}

export function emptyState(): MemoryState {
  return { writes: 0, parked: {}, buried: {}, suspects: {}, queueKeys: {}, locks: {}, waiters: {}, cancels: {}, queues: {} };
}

/** A value that no other write of this state has. */
export function newRev(state: MemoryState): string {
  state.writes += 1;
  return `r${state.writes}`;
}

/** The state as text: equal states give equal texts, in whatever order their items came. */
export function snapshot(state: MemoryState): string {
  return JSON.stringify(state, (_, value: unknown) => (isRecord(value) ? Object.fromEntries(Object.entries(value).sort(byName)) : value));
}

/** The state that `snapshot` wrote down. */
export function restore(text: string): MemoryState {
  return JSON.parse(text) as MemoryState;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function byName([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}
