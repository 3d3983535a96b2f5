import type { QueueKey } from "../contract/names.ts";
import type { JobStage } from "../job/life.ts";

/** What a task tells its peers with every renewal of its lease. */
export interface TaskState {
  /** Rises with every renewal; what it says means nothing, only that it moves. */
  readonly beat: number;
  readonly draining: boolean;
  /** Slots free at the last renewal. */
  readonly free: number;
  /** Its slots have been full for a while: queues that wait for one do better elsewhere. Changes slowly, unlike `free`. */
  readonly full: boolean;
  /** It has RabbitMQ. One that has not can neither run a queue's jobs nor bring any to it. */
  readonly connected: boolean;
}

/** A task's lease: small, renewed every few seconds, watched by its peers. */
export interface TaskLease extends TaskState {
  /** Unique for ever: one process start. */
  readonly boot: string;
  readonly pool: string;
  readonly slots: number;
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
  /** Queues that have jobs ready or running here. One that is absent is idle, if the task has applied its group and `counted`. */
  readonly queues: readonly QueueReport[];
  /**
   * Somebody counts this pool's queues: this task has RabbitMQ, or sees another that has. When nobody does, a queue that no
   * report counts is not idle but unknown. Absent (a build that did not tell yet): they are counted.
   */
  readonly counted?: boolean;
  readonly running: readonly RunningJob[];
  /** More jobs run than `running` lists. */
  readonly runningLeftOut: number;
}

export interface QueueReport {
  readonly partition: string;
  readonly key: QueueKey;
  readonly share: number;
  readonly running: number;
  /** Messages ready in RabbitMQ, as the task that owns the count asked last; absent: another task counts it, or nobody could. */
  readonly ready?: number;
  /** This task should have counted it and could not: how many are ready is unknown. */
  readonly uncounted?: true;
}

export interface RunningJob {
  readonly id: string;
  readonly name: string;
  readonly partition: string;
  readonly queue: string;
  /** As people count: 1 for the first try, and for the first after a person's retry. */
  readonly attempt: number;
  /** Epoch ms. */
  readonly startedAt: number;
  readonly progress?: number;
  /** Epoch ms; since when it has been ignoring that it was aborted. */
  readonly stuckSince?: number;
  /** The fencing token of its execution key. */
  readonly token?: number;
  /** Its identity, and how far the job had come, its attempt as the protocols count it. Neither is told by an older build. */
  readonly run?: string;
  readonly stage?: JobStage;
}

export interface TaskStore {
  /** Before anything else: a task that holds anything has a lease. */
  register(lease: TaskLease): Promise<void>;
  /**
   * Moves the beat on, never back: one that comes late, or a second time, changes nothing.
   * @returns `false` when the task has been declared dead, or is forgotten: it must end at once
   */
  renew(boot: string, state: TaskState): Promise<boolean>;
  /** Declares a task dead if its beat is still the one watched. @returns whether it is dead now, by this call or another */
  declareDead(boot: string, beat: number, now: number): Promise<boolean>;
  /** All leases, dead ones included until they are forgotten. Strongly consistent. */
  leases(): Promise<TaskLease[]>;
  /** Removes a lease that holds nothing any more, and its report. */
  forget(boot: string): Promise<void>;
  report(report: TaskReport): Promise<void>;
  reports(): Promise<TaskReport[]>;
}
