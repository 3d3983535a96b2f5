import { forEachWithin } from "../core/contract/window.ts";
import type { AbortCode } from "../core/job/abort.ts";
import type { Partition } from "../core/partition/partition.ts";
import { PartitionWorker } from "./partition-worker.ts";
import type { QueueWorker, WorkBench } from "./queue-worker.ts";

import type { Run } from "./run.ts";
import type { Turns } from "./turns.ts";

/** A queue that was let go, and whose jobs wait for another task. */
export interface LetGo {
  readonly partition: string;
  readonly worker: Pick<QueueWorker, "rested">;
}

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

  /** The runs under way, of one partition or of all. */
  *running(partition?: string): Generator<Run> {
    const partitions = partition === undefined ? this.#partitions.values() : [this.#partitions.get(partition)];
    for (const worked of partitions) {
      for (const { intake } of worked?.queues.values() ?? []) yield* intake.running;
    }
  }

  giveBackOlderThan(ms: number): void {
    for (const { worker } of this.queues()) worker.intake.giveBackOlderThan(ms);
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
   * This task is full: lets go the queues that run nothing here and do better elsewhere.
   * @param forAll see `QueueWorker.shed`
   * @returns those of which whoever has room should learn
   */
  shedIdleQueues(forAll: boolean): LetGo[] {
    const letGo: LetGo[] = [];
    for (const { partition, worker } of this.queues()) {
      const row = this.#bench.watch.get(partition);
      if (row !== undefined && worker.shed(row, forAll)) letGo.push({ partition, worker });
    }
    return letGo;
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
