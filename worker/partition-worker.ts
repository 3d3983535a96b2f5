import type { AbortCode } from "../core/job/abort.ts";
import type { PartitionChannel } from "../core/job/broker.ts";
import type { Partition } from "../core/partition/partition.ts";
import { QueueWorker, type WorkBench } from "./queue-worker.ts";

import type { Turns, TurnTaker } from "./turns.ts";

/**
 * One partition in this task: its queues, on one AMQP channel of its own, so that an error touches one tenant.
 * Changing one queue never disturbs another: each has its own keeper.
 */
export class PartitionWorker implements TurnTaker {
  readonly id: string;
  readonly #bench: WorkBench;
  readonly #turns: Turns;
  readonly #queues = new Map<string, QueueWorker>();
  /** The queues, in the order of their turns. */
  #inTurn: readonly QueueWorker[] = [];
  #turn = 0;
  #channel: PartitionChannel | undefined;

  constructor(id: string, bench: WorkBench, turns: Turns) {
    this.id = id;
    this.#bench = bench;
    this.#turns = turns;
  }

  get queues(): ReadonlyMap<string, QueueWorker> {
    return this.#queues;
  }

  /** Nothing is held, consumed or run here. */
  get empty(): boolean {
    return [...this.#queues.values()].every((queue) => queue.empty);
  }

  /** Compares every queue with what the row says now. */
  reconcile(row: Partition | undefined): void {
    const listed = new Set(this.#listed(row));
    for (const queue of listed) if (!this.#queues.has(queue)) this.#queues.set(queue, this.#worker(queue));
    this.#inTurn = [...this.#queues.values()];
    if (row === undefined || !["running", "draining"].includes(row.status)) this.abortAll("partition_stopped");
    for (const queue of this.#queues.values()) queue.reconcile(listed.has(queue.queue));
  }

  /** One job of the queue whose turn it is. */
  startOne(): boolean {
    for (let i = 0; i < this.#inTurn.length; i++) {
      const at = (this.#turn + i) % this.#inTurn.length;
      if (!this.#inTurn[at]?.intake.startOne()) continue;
      this.#turn = at + 1;
      return true;
    }
    return false;
  }

  abortAll(code: AbortCode): void {
    for (const { intake } of this.#queues.values()) intake.abortAll(code);
  }

  async rested(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.rested()));
  }

  /** Sends the acks that wait and closes the channel. Deliveries that are not settled by now go back to their queues. */
  async close(): Promise<void> {
    for (const queue of this.#queues.values()) queue.close();
    const channel = this.#channel;
    this.#channel = undefined;
    await channel?.close();
  }

  #worker(queue: string): QueueWorker {
    return new QueueWorker({
      bench: this.#bench,
      partition: this.id,
      queue,
      channel: () => {
        this.#channel ??= this.#bench.openChannel(this.id);
        return this.#channel;
      },
      onWaiting: () => this.#turns.offer(this),
      onSettled: () => this.#turns.release(this),
      onRest: () => this.#tidy(queue),
    });
  }

  #listed(row: Partition | undefined): string[] {
    return Object.keys(row?.pools[this.#bench.pool] ?? {});
  }

  /** A queue that is no longer listed and holds nothing is forgotten; a channel that nobody uses is closed. */
  #tidy(queue: string): void {
    const listed = this.#listed(this.#bench.watch.get(this.id)).includes(queue);
    const worker = this.#queues.get(queue);
    if (!listed && worker?.empty === true) {
      // A keeper that was forgotten must never act again: a new one keeps this queue when it is listed again.
      worker.close();
      this.#queues.delete(queue);
      this.#inTurn = [...this.#queues.values()];
    }
    if (!this.empty || this.#channel === undefined) return;
    const channel = this.#channel;
    this.#channel = undefined;
    channel.close().catch((error: unknown) => this.#bench.emit({ type: "trouble", doing: `closing the channel of ${this.id}`, error }));
  }
}
