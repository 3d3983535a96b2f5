import { describeError } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import type { AbortCode } from "./abort.ts";
import { attemptOf, type Envelope, type FailedAttempt } from "./envelope.ts";
import { LONGEST_LEVEL_MS, milliseconds, type RetryPolicy } from "./retry.ts";
import { Discard, Snooze } from "./verdicts.ts";

/** Why a job was buried. */
export type BurialReason = "failed" | "discarded" | "invalid_args" | "invalid_envelope" | "unknown_job" | "undeliverable" | "poison";

/** What becomes of a job after a run. One function per outcome records it (worker/record.ts); only then comes the ack. */
export type Outcome =
  | { readonly kind: "done" }
  | { readonly kind: "retry"; readonly delayMs: number; readonly failure: FailedAttempt }
  | { readonly kind: "snooze"; readonly delayMs: number }
  | { readonly kind: "bury"; readonly reason: BurialReason; readonly failure: FailedAttempt }
  | { readonly kind: "cancelled" }
  /** No such name in this build: parked until a worker knows it. */
  | { readonly kind: "unknown_name" }
  /** Its execution key is busy: parked, and in line. */
  | { readonly kind: "waits_for_key"; readonly heldByItself: boolean }
  /** Another run of this very job may be alive: parked until it has ended. */
  | { readonly kind: "waits_for_itself" }
  /** Another suspect runs in this task: parked for a moment. */
  | { readonly kind: "waits_as_suspect" }
  /** A copy of what was recorded before, as that, or of a job that has ended or gone on: nothing is left to do but the ack. */
  | { readonly kind: "recorded"; readonly as: "parked" | "buried" | "ended" | "gone_on" }
  /** Back to the queue, no attempt charged. */
  | { readonly kind: "hand_back" };

/** How a run ended, as the worker saw it: the handler has settled. */
export interface RunEnd {
  readonly envelope: Envelope;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly task: string;
  /** Present when the run was aborted from outside, before or after the handler settled. */
  readonly aborted: AbortCode | undefined;
  readonly result: { readonly ok: true } | { readonly ok: false; readonly error: unknown };
}

/**
 * Decides, in one place and without any effect, what becomes of a job.
 *
 * | the handler | not aborted | timed out | cancelled | aborted otherwise |
 * |---|---|---|---|---|
 * | returned | done | failed: an abort makes handlers return early | done: the work is finished | done |
 * | threw Discard | buried `discarded` | buried `discarded` | cancelled | buried `discarded` |
 * | threw Snooze | parked, same attempt | failed | cancelled | handed back |
 * | threw anything else | failed | failed | cancelled | handed back, no attempt charged |
 *
 * Failed: parked for the next attempt, or buried `failed` when none is left.
 */
export function decideOutcome(end: RunEnd, retry: RetryPolicy, random: () => number = Math.random): Outcome {
  const timedOut = end.aborted === "timed_out";
  if (end.result.ok && !timedOut) return { kind: "done" };
  if (end.aborted === "cancelled") return { kind: "cancelled" };
  const thrown = end.result.ok ? undefined : end.result.error;
  if (thrown instanceof Discard) return { kind: "bury", reason: "discarded", failure: failureOf(end, thrown) };
  if (end.aborted !== undefined && !timedOut) return { kind: "hand_back" };
  if (thrown instanceof Snooze && !timedOut) return { kind: "snooze", delayMs: delayOf(() => milliseconds(thrown.seconds)) };
  const error = timedOut ? new TimedOut(end.endedAt - end.startedAt, thrown) : thrown;
  const failure = failureOf(end, error);
  const delayMs = delayOf(() => retry(attemptOf(end.envelope), error, random));
  if (delayMs === undefined) return { kind: "bury", reason: "failed", failure };
  return { kind: "retry", delayMs, failure };
}

/** What a thread's run ends with that never settled (worker/perform.ts). */
const UNSETTLED: ReadonlySet<string> = new Set(["ThreadKilled", "ThreadDied"]);

/** n.b. of what a handler throws only `describeError` may be asked: a proxy throws at an `instanceof`, too. */
const ABORTED = "RunAborted";

/** The failure of an attempt that ran for longer than the job's `maxExecutionTime`. A retry function gets it as the error. */
export class TimedOut extends Error {
  constructor(ranMs: number, cause: unknown) {
    const { name, message } = describeError(cause);
    const after = `after ${(ranMs / 1000).toFixed(1)} s`;
    const how = cause === undefined || name === ABORTED ? "" : `, then threw ${message}`;
    super(`ran longer than its maxExecutionTime; ${UNSETTLED.has(name) ? `${after} ${message}` : `settled ${after}${how}`}`, { cause });
    this.name = "TimedOut";
  }
}

/** A retry function, or a verdict, that throws must not decide more than its own delay. */
function delayOf<T extends number | undefined>(ask: () => T): T | number {
  try {
    const delayMs = ask();
    return delayMs === undefined ? delayMs : Math.min(delayMs, LIMITS.delayMs);
  } catch {
    return LONGEST_LEVEL_MS;
  }
}

/** A failed attempt in the form that is kept, its texts cut to their bounds. */
export function failureOf(end: Omit<RunEnd, "result" | "aborted">, error: unknown): FailedAttempt {
  const { name, message, stack } = describeError(error);
  return {
    attempt: attemptOf(end.envelope),
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
