import { forEachWithin } from "../core/contract/window.ts";
import type { Partition } from "../core/partition/partition.ts";
import { PartitionWorker } from "./partition-worker.ts";
import type { QueueWorker, WorkBench } from "./queue-worker.ts";
import type { AbortCode } from "./run.ts";
import type { Turns } from "./turns.ts";

/** All partitions that this task works on. */
export class Workforce {
  readonly #bench: WorkBench;
  readonly #turns: Turns;
  readonly #partitions = new Map<string, PartitionWorker>();

  constructor(bench: WorkBench, turns: Turns) {
    this.#bench = bench;
    this.#turns = turns;
  }

  get partitions(): ReadonlyMap<string, PartitionWorker> {
    return this.#partitions;
  }

  *queues(): Generator<{ readonly partition: string; readonly worker: QueueWorker }> {
    for (const { id, queues } of this.#partitions.values()) {
      for (const worker of queues.values()) yield { partition: id, worker };
    }
  }

  /** A row is new or changed, or gone. */
  rowChanged(id: string, row: Partition | undefined): void {
    let partition = this.#partitions.get(id);
    if (partition === undefined) {
      if (row?.pools[this.#bench.pool] === undefined || row.status !== "running") return;
      partition = new PartitionWorker(id, this.#bench, this.#turns);
      this.#partitions.set(id, partition);
    }
    partition.reconcile(row);
    if (row === undefined && partition.empty) this.#partitions.delete(id);
  }

  /** Tasks came or went, or this one drains: every share is weighed anew. */
  reconcileAll(): void {
    for (const row of this.#bench.watch.all()) this.rowChanged(row.id, row);
  }

  abortAll(code: AbortCode): void {
    for (const partition of this.#partitions.values()) partition.abortAll(code);
  }

  /**
   * Slots have been full for a while: a queue that runs nothing here is let go, if a task with room serves it. Every other
   * queue stays, or comes back, and takes its turn.
   */
  shedIdleQueues(servedElsewhere: (partition: string, queue: string) => boolean): void {
    for (const { partition, worker } of this.queues()) {
      if (servedElsewhere(partition, worker.queue)) worker.shed();
      else worker.unshed();
    }
  }

  unshed(): void {
    for (const { worker } of this.queues()) worker.unshed();
  }

  /** Resolves once no keeper has anything left to do at this moment. */
  async rested(): Promise<void> {
    await Promise.all([...this.#partitions.values()].map((partition) => partition.rested()));
  }

  get holdsNothing(): boolean {
    return [...this.#partitions.values()].every(({ empty }) => empty);
  }

  async close(): Promise<void> {
    await forEachWithin(50, this.#partitions.values(), (partition) => partition.close());
  }
}
