import type { QueueKey } from "../contract/names.ts";

/** A task's lease: small, renewed every few seconds, watched by its peers. */
export interface TaskLease {
  /** Unique for ever: one process start. */
  readonly boot: string;
  readonly pool: string;
  readonly slots: number;
  /** Moves with every renewal; what it says means nothing, only that it moves. */
  readonly beat: number;
  readonly draining: boolean;
  /** Slots free at the last renewal. */
  readonly free: number;
  /** Declared dead: this one write decides, there is no way back. Its shares may be taken `takeover` later. */
  readonly dead: boolean;
  /** When it was declared dead, epoch ms by the declarer's clock; for people. */
  readonly deadAt?: number;
}

/** What a task tells for scaling and for people, at most every 15 s. */
export interface TaskReport {
  readonly boot: string;
  readonly pool: string;
  readonly slots: number;
  /** Epoch ms. */
  readonly at: number;
  readonly startedAt: number;
  /** The ECS task, where there is one. */
  readonly arn?: string;
  readonly busy: number;
  readonly memoryBytes: number;
  /**
   * The counter of each group of partitions (`ClusterVersion.shards`) that the task has applied: every command of
   * partition `p` is known to it once `shards[shardOf(p)]` has reached the counter that the command left behind.
   */
  readonly shards: readonly number[];
  /** Queues that have jobs ready or running here. One that is absent is idle, if the task has applied its group. */
  readonly queues: readonly QueueReport[];
  readonly running: readonly RunningJob[];
  /** More jobs run than `running` lists. */
  readonly runningLeftOut: number;
}

export interface QueueReport {
  readonly partition: string;
  readonly key: QueueKey;
  readonly share: number;
  readonly running: number;
  /** Messages ready in RabbitMQ, as the task that owns the count asked last; absent: another task counts it. */
  readonly ready?: number;
}

export interface RunningJob {
  readonly id: string;
  readonly name: string;
  readonly partition: string;
  readonly queue: string;
  readonly attempt: number;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly progress?: number;
}

export interface TaskStore {
  /** Before anything else: a task that holds anything has a lease. */
  register(lease: TaskLease): Promise<void>;
  /** @returns `false` when the task has been declared dead: it must end at once */
  renew(boot: string, state: { readonly beat: number; readonly free: number; readonly draining: boolean }): Promise<boolean>;
  /** Declares a task dead if its beat is still the one watched. @returns whether it is dead now, by this call or another */
  declareDead(boot: string, beat: number, now: number): Promise<boolean>;
  /** All leases, dead ones included until they are forgotten. Strongly consistent. */
  leases(): Promise<TaskLease[]>;
  /** Removes a lease that holds nothing any more, and its report. */
  forget(boot: string): Promise<void>;
  report(report: TaskReport): Promise<void>;
  reports(): Promise<TaskReport[]>;
}
