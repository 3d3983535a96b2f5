import type { Clock } from "../core/contract/clock.ts";
import type { MessageTaker, QueueAdmin } from "../core/job/broker.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import type { ParkedStore } from "../core/job/parked.ts";
import type { Registry } from "../core/job/registry.ts";
import type { SuspectStore } from "../core/job/suspects.ts";
import type { ExecutionKeyStore } from "../core/keys/execution-key-store.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { Belongings } from "../core/partition/belongings.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { ScaleStore } from "../core/partition/scale-store.ts";
import type { TaskStore } from "../core/partition/task-store.ts";

/** The global state, as `openStore` gives it. */
export interface StorePorts {
  readonly partitions: PartitionStore;
  readonly tasks: TaskStore;
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly queueKeys: QueueKeyStore;
  readonly executionKeys: ExecutionKeyStore;
  readonly cancels: CancelStore;
  readonly suspects: SuspectStore;
  readonly belongings: Belongings;
  readonly scale: ScaleStore;
}

/** Lines for operators. */
export interface Log {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Whoever makes the number of tasks follow the work. Neither call throws: the next tick makes good what failed. */
export interface Scaler {
  /** Something changed, a partition perhaps: tasks may be needed at once. Never shrinks a pool. */
  request(changedPartition?: string): Promise<void>;
  /** The clock's pass, which may also shrink. */
  tick(): Promise<void>;
}

/**
 * Lends RabbitMQ's queues for the time of `work`: a Lambda connects for it, the local gateway has a connection anyway.
 * @throws BrokerUnavailable when RabbitMQ can't be reached
 */
export type WithQueues = <T>(work: (queues: QueueAdmin & MessageTaker) => Promise<T>) => Promise<T>;

/** What every app needs. */
export interface Deps {
  readonly store: StorePorts;
  readonly clock: Clock;
  readonly log: Log;
  /** Absent where no service is configured: then nothing is scaled. */
  readonly scaler?: Scaler;
  /** The pools that are deployed; absent where this process was not told. */
  readonly pools?: readonly string[];
}

export interface JobsDeps extends Deps {
  readonly registry: Registry;
}

/** The registry tells which args may be shown. */
export interface QueuesDeps extends JobsDeps {
  readonly withQueues: WithQueues;
}

/** What all apps together need. */
export type AllDeps = QueuesDeps;
