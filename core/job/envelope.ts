import { InvalidInput } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import { JOB_ID_PATTERN, JOB_NAME_PATTERN, PARTITION_PATTERN, QUEUE_PATTERN } from "../contract/names.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** One failed attempt, as envelopes, parked and buried jobs remember it. Times are epoch ms. */
export interface FailedAttempt {
  readonly attempt: number;
  readonly started_at: number;
  readonly failed_at: number;
  /** The boot id of the task that ran it. */
  readonly task: string;
  readonly error: { readonly name: string; readonly message: string; readonly stack?: string };
}

/**
 * A job on the wire, version 1: the body of its RabbitMQ message and of its parked item.
 *
 * Fields may be added; a worker keeps the fields it does not know when it writes the job anew, so a job
 * that passes through an old build loses nothing. `v` moves only when an old worker could not run the job.
 */
export interface Envelope {
  readonly v: 1;
  /** UUID version 7: it sorts by the time of enqueueing. */
  readonly id: string;
  readonly name: string;
  readonly args: Json;
  readonly partition: string;
  readonly queue: string;
  /** At most one live job of the partition has it; see core/keys/queue-key.ts. */
  readonly queue_key?: string;
  /** At most one job of the partition with it runs at a time; see core/keys/execution-key.ts. */
  readonly execution_key?: string;
  /** 1 for the first try. It only ever rises: all that is written down about a job is ordered by it. */
  readonly attempt: number;
  /** Attempts before a person retried the job from among the buried: the handler counts from there. @default 0 */
  readonly attempts_before?: number;
  /** Epoch ms of the first enqueueing; a retry does not move it. With the id it names one life, see core/job/life.ts. */
  readonly enqueued_at: number;
  /** The cancel marker (its `rev`) that a person's retry has overruled … */
  readonly pardoned?: string;
  /** … and its `seq`: what was wished before that is overruled with it. See core/job/cancels.ts. */
  readonly pardoned_seq?: number;
  readonly traceparent?: string;
  /** Since when no worker knows the name, epoch ms; absent once one does. */
  readonly unknown_since?: number;
  /** Since when it waits for an execution key, epoch ms; absent once it has it. */
  readonly waiting_since?: number;
  /** How often the messages of this attempt came back, before the one that carries this; see worker/suspects.ts. */
  readonly returns?: number;
  /** Failed attempts so far, oldest first, at most the last 20. */
  readonly history?: readonly FailedAttempt[];
}

/** The envelope without what the attempt gathered on its way to its run: all that is over once it has run. */
export function withoutWaits(envelope: Envelope): Envelope {
  const { unknown_since: _, waiting_since: __, returns: ___, ...rest } = envelope;
  return rest;
}

/** Its trace context, if it came with one: a message may be another program's work, and that is no reason to refuse it. */
export function traceOf({ traceparent }: Envelope): { readonly traceparent?: string } {
  return typeof traceparent === "string" ? { traceparent } : {};
}

/** The attempt as people and handlers count it: 1 for the first try, and for the first after a person's retry. */
export function attemptOf({ attempt, attempts_before = 0 }: Pick<Envelope, "attempt" | "attempts_before">): number {
  return attempt - attempts_before;
}

/** A body as a job; `undefined` for one that is none, or a newer build's. For those who only look at it. */
export function envelopeOf(body: Buffer | string): Envelope | undefined {
  try {
    return decodeEnvelope(body);
  } catch (error) {
    if (error instanceof InvalidEnvelope) return undefined;
    throw error;
  }
}

/** The attempt of a parked or buried job as people count it. */
export function attemptIn({ attempt, body }: { readonly attempt: number; readonly body: string }): number {
  return attemptOf({ ...envelopeOf(body), attempt });
}

/** What every version has: enough to keep the job until a worker comes that can read the rest, and the time that is read to keep it. */
function isAddressed({ id, name, partition, queue, attempt, enqueued_at, unknown_since = 0 }: Record<string, unknown>): boolean {
  const isNamed = isText(id, JOB_ID_PATTERN) && isText(partition, PARTITION_PATTERN) && isText(queue, QUEUE_PATTERN) && typeof name === "string";
  return isNamed && [attempt, enqueued_at, unknown_since].every(Number.isSafeInteger);
}

/** Bytes that are no job, or not one of this version: the message is buried with this reason. */
export class InvalidEnvelope extends InvalidInput {}

/** A job of a newer build, met in a rolling deploy: it is parked, as one whose name is not known. */
export class NewerEnvelope extends InvalidEnvelope {
  /** Only what `isAddressed` asks for may be relied on. */
  readonly envelope: Envelope;

  constructor(envelope: Envelope) {
    super("envelope.v", `version ${envelope.v} is newer than this build, which knows 1`);
    this.envelope = envelope;
  }
}

/**
 * @returns the message body, at most 256 KiB
 * @throws InvalidInput naming `args` when the whole is larger
 */
export function encodeEnvelope(envelope: Envelope): string {
  const body = JSON.stringify(envelope);
  // What a job gathers on its way (a history, since when it waits) comes on top of what was accepted: only that is measured.
  const { attempt, history, unknown_since, waiting_since, returns } = envelope;
  const asAccepted = attempt === 1 && [history, unknown_since, waiting_since, returns].every((gathered) => gathered === undefined);
  if (asAccepted && Buffer.byteLength(body) > LIMITS.envelopeBytes) {
    throw new InvalidInput("args", `the job is ${Buffer.byteLength(body)} bytes with its envelope; the limit is ${LIMITS.envelopeBytes}`);
  }
  return body;
}

/** @throws InvalidEnvelope naming the first field that is not as it must be */
export function decodeEnvelope(body: Buffer | string): Envelope {
  const bytes = Buffer.byteLength(body);
  if (bytes > LIMITS.messageBodyBytes) throw new InvalidEnvelope("envelope", `${bytes} bytes; the limit is ${LIMITS.messageBodyBytes}`);
  let value: unknown;
  try {
    value = JSON.parse(typeof body === "string" ? body : body.toString());
  } catch (cause) {
    throw new InvalidEnvelope("envelope", `not JSON (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidEnvelope("envelope", "not an object");
  const e = value as Record<string, unknown>;
  if (Number.isSafeInteger(e.v) && (e.v as number) > 1 && isAddressed(e)) throw new NewerEnvelope(e as unknown as Envelope);
  if (e.v !== 1) throw new InvalidEnvelope("envelope.v", `version ${JSON.stringify(e.v)} is not known here, 1 is`);
  matches(e, "id", JOB_ID_PATTERN);
  matches(e, "name", JOB_NAME_PATTERN);
  matches(e, "partition", PARTITION_PATTERN);
  matches(e, "queue", QUEUE_PATTERN);
  if (!Number.isSafeInteger(e.attempt) || (e.attempt as number) < 1) throw new InvalidEnvelope("envelope.attempt", "not a whole number from 1");
  if (!Number.isSafeInteger(e.enqueued_at)) throw new InvalidEnvelope("envelope.enqueued_at", "not epoch milliseconds");
  for (const key of ["queue_key", "execution_key"]) {
    if (e[key] !== undefined && (typeof e[key] !== "string" || e[key] === "")) throw new InvalidEnvelope(`envelope.${key}`, "not a text");
  }
  if (e.attempts_before !== undefined && !(Number.isSafeInteger(e.attempts_before) && (e.attempts_before as number) < (e.attempt as number))) {
    throw new InvalidEnvelope("envelope.attempts_before", "not a whole number below the attempt");
  }
  if (e.returns !== undefined && !(Number.isSafeInteger(e.returns) && (e.returns as number) >= 0)) {
    throw new InvalidEnvelope("envelope.returns", "not a whole number from 0");
  }
  for (const time of ["unknown_since", "waiting_since"]) {
    if (e[time] !== undefined && !Number.isSafeInteger(e[time])) throw new InvalidEnvelope(`envelope.${time}`, "not epoch milliseconds");
  }
  if (e.pardoned !== undefined && typeof e.pardoned !== "string") throw new InvalidEnvelope("envelope.pardoned", "not a text");
  if (e.pardoned_seq !== undefined && !Number.isSafeInteger(e.pardoned_seq)) throw new InvalidEnvelope("envelope.pardoned_seq", "not a whole number");
  if (!("args" in e)) throw new InvalidEnvelope("envelope.args", "missing");
  if (e.history !== undefined && !Array.isArray(e.history)) throw new InvalidEnvelope("envelope.history", "not a list");
  return value as Envelope;
}

function matches(e: Record<string, unknown>, field: string, pattern: RegExp): void {
  const value = e[field];
  if (!isText(value, pattern)) {
    throw new InvalidEnvelope(`envelope.${field}`, `${JSON.stringify(value)?.slice(0, 80)} does not match ${pattern.source}`);
  }
}

function isText(value: unknown, pattern: RegExp): boolean {
  return typeof value === "string" && pattern.test(value);
}
