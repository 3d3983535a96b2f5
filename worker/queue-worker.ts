import type { Clock } from "../core/contract/clock.ts";
import { brokerQueue, queueKey } from "../core/contract/names.ts";
import type { Window } from "../core/contract/window.ts";
import type { PartitionChannel } from "../core/job/broker.ts";
import type { JobLog } from "../core/job/context.ts";
import type { Partition } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { Emit } from "./events.ts";
import type { JobRunner } from "./job-runner.ts";
import type { PartitionWatch } from "./partition-watch.ts";
import { QueueIntake } from "./queue-intake.ts";
import { QueueKeeper } from "./queue-keeper.ts";
import type { Run } from "./run.ts";

/** What every queue and partition of a task shares. */
export interface WorkBench {
  readonly boot: string;
  readonly pool: string;
  readonly watch: PartitionWatch;
  readonly partitions: PartitionStore;
  readonly runner: JobRunner;
  /** Bounds the store calls of all keepers together. */
  readonly moves: Window;
  readonly clock: Clock;
  readonly emit: Emit;
  makeLog(run: Run): JobLog;
  openChannel(partition: string): PartitionChannel;
  /** How much of a queue this task should hold by what it knows now, its slots left aside. */
  target(row: Partition | undefined, queue: string): number;
}

export interface QueueWorkerOptions {
  readonly bench: WorkBench;
  readonly partition: string;
  readonly queue: string;
  channel(): PartitionChannel;
  onWaiting(): void;
  onSettled(): void;
  onRest(): void;
}

/** One queue of a partition in this task: what it takes in and runs, and the share that allows it. */
export class QueueWorker {
  readonly queue: string;
  readonly intake: QueueIntake;
  readonly #keeper: QueueKeeper;
  #shed = false;

  constructor({ bench, partition, queue, channel, onWaiting, onSettled, onRest }: QueueWorkerOptions) {
    this.queue = queue;
    this.intake = new QueueIntake({
      runner: bench.runner,
      clock: bench.clock,
      makeLog: bench.makeLog,
      onWaiting,
      onSettled: () => {
        if (this.#keeper.share > this.intake.limit) this.#keeper.nudge();
        onSettled();
      },
    });
    this.#keeper = new QueueKeeper({
      boot: bench.boot,
      pool: bench.pool,
      partition,
      queue,
      key: queueKey(bench.pool, queue),
      brokerQueue: brokerQueue(partition, queue),
      watch: bench.watch,
      partitions: bench.partitions,
      intake: this.intake,
      moves: bench.moves,
      emit: bench.emit,
      channel,
      target: (row) => (this.#shed ? 0 : bench.target(row, queue)),
      onRest,
    });
  }

  get share(): number {
    return this.#keeper.share;
  }

  get empty(): boolean {
    return this.#keeper.empty;
  }

  /** Compares share, limit and consumer with what they should be. */
  reconcile(): void {
    this.#keeper.nudge();
  }

  rested(): Promise<void> {
    return this.#keeper.rested();
  }

  close(): void {
    this.#keeper.close();
  }

  /** Lets the queue go while slots are scarce, if it runs nothing here: others may serve it. */
  shed(): void {
    if (this.#shed || this.share === 0 || this.intake.running.size > 0) return;
    this.#shed = true;
    this.#keeper.nudge();
  }

  unshed(): void {
    if (!this.#shed) return;
    this.#shed = false;
    this.#keeper.nudge();
  }
}
