import { describeError } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import type { Envelope, FailedAttempt } from "./envelope.ts";
import type { RetryPolicy } from "./retry.ts";
import { Discard, Snooze } from "./verdicts.ts";

/** Why a job was buried. */
export type BurialReason = "failed" | "discarded" | "invalid_args" | "invalid_envelope" | "unknown_job" | "undeliverable";

/** What becomes of a job after a run. One function per outcome records it (worker/record.ts); only then comes the ack. */
export type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "retry"; readonly delayMs: number; readonly failure: FailedAttempt }
  | { readonly kind: "snooze"; readonly delayMs: number }
  | { readonly kind: "bury"; readonly reason: BurialReason; readonly failure: FailedAttempt }
  /** No such name in this build: parked until a worker knows it. */
  | { readonly kind: "unknown_name" }
  /** A redelivery of what was recorded before: nothing is left to do but the ack. */
  | { readonly kind: "recorded" }
  /** Back to the queue, no attempt charged. */
  | { readonly kind: "hand_back" };

/** How a run ended, as the worker saw it: the handler has settled. */
export interface RunEnd {
  readonly envelope: Envelope;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly task: string;
  /** Present when the run was aborted from outside, before or after the handler settled. */
  readonly aborted: boolean;
  readonly result: { readonly ok: true } | { readonly ok: false; readonly error: unknown };
}

/**
 * Decides, in one place and without any effect, what becomes of a job.
 *
 * | the handler | not aborted | aborted |
 * |---|---|---|
 * | returned | done | done: the work is finished, whatever was asked meanwhile |
 * | threw Discard | buried `discarded` | buried `discarded`: it will never succeed |
 * | threw Snooze | parked, same attempt | handed back |
 * | threw anything else | parked for the next attempt, or buried `failed` | handed back, no attempt charged |
 */
export function decideOutcome(end: RunEnd, retry: RetryPolicy, random: () => number = Math.random): Outcome {
  if (end.result.ok) return { kind: "done" };
  const { error } = end.result;
  const failure = failureOf(end, error);
  if (error instanceof Discard) return { kind: "bury", reason: "discarded", failure };
  if (end.aborted) return { kind: "hand_back" };
  if (error instanceof Snooze) return { kind: "snooze", delayMs: Math.round(error.seconds * 1000) };
  const delayMs = askPolicy(retry, end.envelope.attempt, error, random);
  if (delayMs === undefined) return { kind: "bury", reason: "failed", failure };
  return { kind: "retry", delayMs: Math.min(delayMs, LIMITS.delayMs), failure };
}

/** A retry function that throws must not decide more than its own delay: the job waits for Roger's longest level. */
function askPolicy(retry: RetryPolicy, attempt: number, error: unknown, random: () => number): number | undefined {
  try {
    return retry(attempt, error, random);
  } catch {
    return 1_800_000;
  }
}

/** A failed attempt in the form that is kept, its texts cut to their bounds. */
export function failureOf(end: Omit<RunEnd, "result" | "aborted">, error: unknown): FailedAttempt {
  const { name, message, stack } = describeError(error);
  return {
    attempt: end.envelope.attempt,
    started_at: end.startedAt,
    failed_at: end.endedAt,
    task: end.task,
    error: {
      name: cut(name, 200),
      message: cut(message, LIMITS.messageBytes),
      ...(stack === undefined ? {} : { stack: cut(stack, LIMITS.stackBytes) }),
    },
  };
}

/** Control characters are six bytes each in JSON: a text of them would outgrow its bound, and the item its own. */
const CONTROL = /(?![\t\n\r])\p{Cc}/gu;

function cut(whole: string, bytes: number): string {
  const text = whole.slice(0, bytes).replace(CONTROL, "?");
  return Buffer.byteLength(text) <= bytes
    ? text
    : Buffer.from(text)
        .subarray(0, bytes)
        .toString()
        .replace(/\uFFFD+$/u, "");
}

/** The envelope of the next attempt: one higher, the failure remembered, every unknown field kept. */
export function nextAttempt(envelope: Envelope, failure: FailedAttempt): Envelope {
  return { ...withFailure(envelope, failure), attempt: envelope.attempt + 1 };
}

export function withFailure(envelope: Envelope, failure: FailedAttempt): Envelope {
  return { ...envelope, history: [...(envelope.history ?? []), failure].slice(-LIMITS.history) };
}
