import { type Envelope, traceOf } from "./envelope.ts";

/** What a handler is given beside its args. */
export interface JobContext {
  /** Aborts when the run must end: cancelled, out of time, shutdown, `stop`, a lost connection or lease. `signal.reason` is a `RunAborted`. */
  readonly signal: AbortSignal;
  readonly job: JobInfo;
  /** 1 for the first try. */
  readonly attempt: number;
  /**
   * A fencing token, for a job with an execution key: it rises with every run under that key. What the job writes elsewhere can
   * be made conditional on it, so that a run that was given up for dead changes nothing any more.
   */
  readonly token: number | undefined;
  /** Lines that carry the job's id, name, partition and attempt. */
  readonly log: JobLog;
  /** Tells operators how far the job is, from 0 to 1. Costs nothing; seen in `GET /partitions/{p}/jobs?state=running`. */
  progress(fraction: number): void;
}

export interface JobInfo {
  readonly id: string;
  readonly name: string;
  readonly partition: string;
  readonly queue: string;
  /** When the job was first enqueued, epoch ms. */
  readonly enqueuedAt: number;
  /** W3C Trace Context of whoever enqueued it, if it came with one: what the job does may go on in that trace. */
  readonly traceparent?: string;
}

export function jobInfoOf(envelope: Envelope): JobInfo {
  const { id, name, partition, queue, enqueued_at } = envelope;
  return { id, name, partition, queue, enqueuedAt: enqueued_at, ...traceOf(envelope) };
}

export interface JobLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}
