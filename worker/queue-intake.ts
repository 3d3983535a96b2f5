import type { Clock } from "../core/contract/clock.ts";
import type { AbortCode } from "../core/job/abort.ts";
import type { Delivery } from "../core/job/broker.ts";
import type { JobLog } from "../core/job/context.ts";
import type { JobRunner } from "./job-runner.ts";
import { Run } from "./run.ts";

export interface QueueIntakeOptions {
  readonly runner: JobRunner;
  readonly clock: Clock;
  makeLog(run: Run): JobLog;
  /** A delivery waits that could start. */
  onWaiting(): void;
  /** A run has settled; its slot is free again. */
  onSettled(): void;
}

/** A delivery that waits for its turn, and since when, on the monotonic clock. */
interface Waiting {
  readonly delivery: Delivery;
  readonly receivedAt: number;
}

/**
 * One queue's deliveries in this task: those that wait for a turn, and those that run.
 *
 * The limit is the law here, whatever the broker sends: prefetch is only a hint, since a consumer that was replaced
 * still has its unacked messages with us.
 */
export class QueueIntake {
  readonly #options: QueueIntakeOptions;
  readonly #running = new Set<Run>();
  #waiting: Waiting[] = [];
  #limit = 0;

  constructor(options: QueueIntakeOptions) {
    this.#options = options;
  }

  get running(): ReadonlySet<Run> {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get limit(): number {
    return this.#limit;
  }

  /** Jobs that run at once, at most. What runs beyond it, runs on; nothing starts until it fits again. */
  setLimit(limit: number): void {
    this.#limit = limit;
    this.#offer();
  }

  receive(delivery: Delivery): void {
    this.#waiting.push({ delivery, receivedAt: this.#options.clock.monotonic() });
    this.#offer();
  }

  /**
   * Gives back what waits beyond the limit, newest first: the oldest were promised their turn. Only once the broker has
   * taken the new prefetch: before, it would send them to us again at once.
   */
  giveBackBeyondLimit(): void {
    while (this.#waiting.length > this.#limit) this.#waiting.pop()?.delivery.nack();
  }

  /** Gives back what has waited for so long: RabbitMQ's patience with an unacked message counts from its delivery. */
  giveBackOlderThan(ms: number): void {
    const limit = this.#options.clock.monotonic() - ms;
    while ((this.#waiting[0]?.receivedAt ?? Number.POSITIVE_INFINITY) <= limit) this.#waiting.shift()?.delivery.nack();
  }

  /** Starts the job that has waited longest. @returns `false` when none waits or the limit is reached */
  startOne(): boolean {
    if (this.#running.size >= this.#limit) return false;
    const next = this.#waiting.shift();
    if (next === undefined) return false;
    const run = new Run({ ...next, startedAt: this.#options.clock.now(), makeLog: this.#options.makeLog });
    this.#running.add(run);
    void this.#options.runner.run(run).then(() => {
      this.#running.delete(run);
      this.#options.onSettled();
    });
    return true;
  }

  /** The broker has these back already: those that wait are forgotten, those that run are aborted. */
  lost(deliveries: readonly Delivery[]): void {
    const gone = new Set(deliveries);
    this.#waiting = this.#waiting.filter(({ delivery }) => !gone.has(delivery));
    for (const run of this.#running) if (gone.has(run.delivery)) run.abort("connection_lost");
  }

  abortAll(code: AbortCode): void {
    for (const run of this.#running) run.abort(code);
  }

  #offer(): void {
    if (this.#waiting.length > 0 && this.#running.size < this.#limit) this.#options.onWaiting();
  }
}
