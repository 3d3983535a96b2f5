import type { Clock } from "../core/contract/clock.ts";
import { brokerQueue, queueKey } from "../core/contract/names.ts";
import type { Window } from "../core/contract/window.ts";
import type { PartitionChannel } from "../core/job/broker.ts";
import type { JobLog } from "../core/job/context.ts";
import { heldOf, type Partition } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { Emit } from "./events.ts";
import type { JobRunner } from "./job-runner.ts";
import type { PartitionWatch } from "./partition-watch.ts";
import type { Placement } from "./placement.ts";
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
  /** Whether this task still trusts its lease: without that it takes no more of anything. */
  mayRaise(): boolean;
  /** How much of each queue this task should hold by what it knows now. */
  readonly placement: Pick<Placement, "wanted" | "isServedElsewhere">;
  /** A queue that was let go for this long and that nobody holds by then is taken back, in ms. */
  readonly takeBackMs: number;
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
  readonly #bench: WorkBench;
  /** Since when it is let go, monotonic, and whether others were told; `undefined`: it is not let go. */
  #letGo: { readonly at: number; readonly told: boolean } | undefined;
  /** It was taken back because nobody had taken it; until then it is not let go again. */
  #keptUntil = Number.NEGATIVE_INFINITY;

  constructor({ bench, partition, queue, channel, onWaiting, onSettled, onRest }: QueueWorkerOptions) {
    this.queue = queue;
    this.#bench = bench;
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
      mayRaise: bench.mayRaise,
      channel,
      target: (row, share) => (this.#letGo === undefined ? bench.placement.wanted(row, queue, share) : 0),
      onRest,
    });
  }

  get share(): number {
    return this.#keeper.share;
  }

  get empty(): boolean {
    return this.#keeper.empty;
  }

  /** Compares share, limit and consumer with what they should be, if that may have changed. One that is not listed ends in any case. */
  reconcile(listed: boolean): void {
    if (listed) this.#keeper.reconsider();
    else this.#keeper.nudge();
  }

  rested(): Promise<void> {
    return this.#keeper.rested();
  }

  close(): void {
    this.#keeper.close();
  }

  /**
   * Lets the queue go if it runs nothing here and does better elsewhere; else it stays, or comes back, and takes its turn.
   * One whose jobs wait may go to any task with room, for those are told. What nobody has taken in time comes back for as long.
   *
   * @param forAll jobs may wait although none has reached this task: it has no RabbitMQ
   * @returns whether it was let go just now, and others should be told
   */
  shed(row: Partition, forAll: boolean): boolean {
    const { placement, clock, pool, takeBackMs } = this.#bench;
    const now = clock.monotonic();
    if (this.#letGo?.told && now - this.#letGo.at >= takeBackMs && heldOf(row, queueKey(pool, this.queue)) === 0) this.#keptUntil = now + takeBackMs;
    const told = this.#letGo?.told ?? (forAll || this.intake.waiting > 0);
    if (now < this.#keptUntil || !placement.isServedElsewhere(row, this.queue, told)) {
      this.unshed();
      return false;
    }
    if (this.#letGo !== undefined || this.intake.running.size > 0) return false;
    this.#letGo = { at: now, told };
    this.#keeper.nudge();
    return told;
  }

  unshed(): void {
    if (this.#letGo === undefined) return;
    this.#letGo = undefined;
    this.#keeper.nudge();
  }
}
