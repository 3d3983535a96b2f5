import { type AbortCode, RunAborted } from "../core/job/abort.ts";
import type { Delivery } from "../core/job/broker.ts";
import { type JobContext, type JobInfo, type JobLog, jobInfoOf } from "../core/job/context.ts";
import { attemptOf, type Envelope } from "../core/job/envelope.ts";

export interface RunOptions {
  readonly delivery: Delivery;
  /** When the delivery came, on the monotonic clock: RabbitMQ counts from then. */
  readonly receivedAt: number;
  /** Epoch ms. */
  readonly startedAt: number;
  makeLog(run: Run): JobLog;
}

let count = 0;

/**
 * One start of an attempt in this process, from its delivery until its handler has settled and its outcome is recorded.
 * Until then it keeps its slot, its unit of share and its unacked message, aborted or not.
 *
 * It is also the handler's context. What most handlers don't ask for (signal, log) is made when first asked for.
 */
export class Run implements JobContext {
  readonly delivery: Delivery;
  readonly receivedAt: number;
  readonly startedAt: number;
  /** Unique in this process; with the task's boot id, unique for ever. */
  readonly number: number;
  /** Fraction done, as the handler last said. */
  progressed: number | undefined;
  /** The fencing token of its execution key. */
  token: number | undefined;
  /** Epoch ms; since when it ignores that it was aborted. */
  stuckSince: number | undefined;
  /** Its handler runs: neither before, while it is decided whether it may, nor after, while its outcome is recorded. */
  performing = false;
  /** Its move from its message to a parked item, while that is under way: its outcome waits. Never rejects. */
  moving: Promise<void> | undefined;
  readonly #makeLog: (run: Run) => JobLog;
  #envelope: Envelope | undefined;
  #controller: AbortController | undefined;
  #aborted: RunAborted | undefined;
  #log: JobLog | undefined;

  constructor({ delivery, receivedAt, startedAt, makeLog }: RunOptions) {
    this.delivery = delivery;
    this.receivedAt = receivedAt;
    this.startedAt = startedAt;
    this.#makeLog = makeLog;
    count += 1;
    this.number = count;
  }

  /** Known once the delivery is decoded. */
  get envelope(): Envelope | undefined {
    return this.#envelope;
  }

  decoded(envelope: Envelope): void {
    this.#envelope = envelope;
  }

  get aborted(): AbortCode | undefined {
    return this.#aborted?.code;
  }

  /** The first reason stands. */
  abort(code: AbortCode): void {
    if (this.#aborted !== undefined) return;
    this.#aborted = new RunAborted(code);
    this.#controller?.abort(this.#aborted);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  get job(): JobInfo {
    return jobInfoOf(this.#known());
  }

  get attempt(): number {
    return attemptOf(this.#known());
  }

  get log(): JobLog {
    this.#log ??= this.#makeLog(this);
    return this.#log;
  }

  progress(fraction: number): void {
    const known = Math.min(1, Math.max(0, fraction));
    // 0 of 0 is no number: in a report it would be told as none done.
    if (!Number.isNaN(known)) this.progressed = known;
  }

  #known(): Envelope {
    if (this.#envelope === undefined) throw new Error("a run's job is known only once its delivery is decoded");
    return this.#envelope;
  }
}
