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
  /** 1 for the first try. */
  readonly attempt: number;
  /** Epoch ms of the first enqueueing; a retry does not move it. */
  readonly enqueued_at: number;
  readonly traceparent?: string;
  /** Since when no worker knows the name, epoch ms; absent once one does. */
  readonly unknown_since?: number;
  /** Failed attempts so far, oldest first, at most the last 20. */
  readonly history?: readonly FailedAttempt[];
}

/** Bytes that are no job, or not one of this version: the message is buried with this reason. */
export class InvalidEnvelope extends InvalidInput {}

/**
 * @returns the message body, at most 256 KiB
 * @throws InvalidInput naming `args` when the whole is larger
 */
export function encodeEnvelope(envelope: Envelope): string {
  const body = JSON.stringify(envelope);
  // A retried job carries its history on top of what was accepted: only the first attempt is measured.
  const asAccepted = envelope.attempt === 1 && envelope.history === undefined && envelope.unknown_since === undefined;
  if (asAccepted && Buffer.byteLength(body) > LIMITS.envelopeBytes) {
    throw new InvalidInput("args", `the job is ${Buffer.byteLength(body)} bytes with its envelope; the limit is ${LIMITS.envelopeBytes}`);
  }
  return body;
}

/** @throws InvalidEnvelope naming the first field that is not as it must be */
export function decodeEnvelope(body: Buffer | string): Envelope {
  let value: unknown;
  try {
    value = JSON.parse(typeof body === "string" ? body : body.toString());
  } catch (cause) {
    throw new InvalidEnvelope("envelope", `not JSON (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new InvalidEnvelope("envelope", "not an object");
  const e = value as Record<string, unknown>;
  if (e.v !== 1) throw new InvalidEnvelope("envelope.v", `version ${JSON.stringify(e.v)} is not known here, 1 is`);
  matches(e, "id", JOB_ID_PATTERN);
  matches(e, "name", JOB_NAME_PATTERN);
  matches(e, "partition", PARTITION_PATTERN);
  matches(e, "queue", QUEUE_PATTERN);
  if (!Number.isSafeInteger(e.attempt) || (e.attempt as number) < 1) throw new InvalidEnvelope("envelope.attempt", "not a whole number from 1");
  if (!Number.isSafeInteger(e.enqueued_at)) throw new InvalidEnvelope("envelope.enqueued_at", "not epoch milliseconds");
  if (!("args" in e)) throw new InvalidEnvelope("envelope.args", "missing");
  if (e.history !== undefined && !Array.isArray(e.history)) throw new InvalidEnvelope("envelope.history", "not a list");
  return value as Envelope;
}

function matches(e: Record<string, unknown>, field: string, pattern: RegExp): void {
  const value = e[field];
  if (typeof value !== "string" || !pattern.test(value)) {
    throw new InvalidEnvelope(`envelope.${field}`, `${JSON.stringify(value)?.slice(0, 80)} does not match ${pattern.source}`);
  }
}
