import { RogerError } from "../core/contract/errors.ts";
import type { Delivery } from "../core/job/broker.ts";
import type { JobContext, JobInfo, JobLog } from "../core/job/context.ts";
import type { Envelope } from "../core/job/envelope.ts";

export type AbortCode = "shutdown" | "partition_stopped" | "connection_lost" | "lease_lost";

/** The reason of a run's `signal`: why the job must end now. The job goes back to its queue, no attempt is charged. */
export class RunAborted extends RogerError {
  declare readonly code: AbortCode;

  constructor(code: AbortCode) {
    super(code, `aborted: ${code.replace("_", " ")}`);
    this.name = "RunAborted";
  }
}

/**
 * One start of an attempt in this process, from its delivery until its handler has settled and its outcome is recorded.
 * Until then it keeps its slot, its unit of share and its unacked message, aborted or not.
 *
 * It is also the handler's context. What most handlers don't ask for (signal, log) is made when first asked for.
 */
export class Run implements JobContext {
  readonly delivery: Delivery;
  readonly startedAt: number;
  /** Fraction done, as the handler last said. */
  progressed: number | undefined;
  readonly #makeLog: (run: Run) => JobLog;
  #envelope: Envelope | undefined;
  #controller: AbortController | undefined;
  #aborted: RunAborted | undefined;
  #log: JobLog | undefined;

  constructor(delivery: Delivery, startedAt: number, makeLog: (run: Run) => JobLog) {
    this.delivery = delivery;
    this.startedAt = startedAt;
    this.#makeLog = makeLog;
  }

  /** Known once the delivery is decoded. */
  get envelope(): Envelope | undefined {
    return this.#envelope;
  }

  decoded(envelope: Envelope): void {
    this.#envelope = envelope;
  }

  get aborted(): RunAborted | undefined {
    return this.#aborted;
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
    const { id, name, partition, queue, enqueued_at } = this.#known();
    return { id, name, partition, queue, enqueuedAt: enqueued_at };
  }

  get attempt(): number {
    return this.#known().attempt;
  }

  get log(): JobLog {
    this.#log ??= this.#makeLog(this);
    return this.#log;
  }

  progress(fraction: number): void {
    this.progressed = Math.min(1, Math.max(0, fraction));
  }

  #known(): Envelope {
    if (this.#envelope === undefined) throw new Error("a run's job is known only once its delivery is decoded");
    return this.#envelope;
  }
}
