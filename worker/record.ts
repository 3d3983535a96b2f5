import { createHash } from "node:crypto";
import type { Clock } from "../core/contract/clock.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { splitBrokerQueue } from "../core/contract/names.ts";
import type { Delivery } from "../core/job/broker.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import { type Envelope, encodeEnvelope, type FailedAttempt } from "../core/job/envelope.ts";
import { type BurialReason, nextAttempt, withFailure } from "../core/job/outcome.ts";
import type { ParkedReason, ParkedStore } from "../core/job/parked.ts";
import type { Emit, JobRef } from "./events.ts";

export interface RecorderOptions {
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Reasons of items that an attempt begins from. (Snoozed and unknown ones are its outcome.) */
const SOURCES: ReadonlySet<ParkedReason> = new Set(["outbox", "delayed", "retry"]);

/**
 * Writes down what became of a job: one function per outcome. Each is safe to repeat, and only after it has succeeded
 * may the message be acked.
 *
 * | dies after | then |
 * |---|---|
 * | nothing written | the message comes again, the job runs again |
 * | the item is written, not acked | the message comes again marked as redelivered; `wasRecorded` finds the item; it is acked and dropped |
 * | acked | done |
 *
 * All throw StoreUnavailable; the message then goes back to its queue.
 */
export class Recorder {
  readonly #options: RecorderOptions;

  constructor(options: RecorderOptions) {
    this.#options = options;
  }

  /**
   * Whether this redelivery may be dropped: an earlier delivery of this very attempt was parked for later, or buried, or
   * the item that it was published from is still there and publishes it anew.
   */
  async wasRecorded(envelope: Envelope): Promise<boolean> {
    const { parked, buried, clock } = this.#options;
    const item = await parked.touch(envelope, envelope.attempt);
    if (item !== undefined) {
      // Handed back before the pump had deleted what it published: its delete is refused now, so let it publish at once.
      if (item.attempt === envelope.attempt && SOURCES.has(item.reason)) await parked.postpone(item, item.rev, clock.now());
      return true;
    }
    const grave = await buried.get(envelope.partition, envelope.id);
    return grave !== undefined && grave.attempt >= envelope.attempt;
  }

  async retry(envelope: Envelope, delayMs: number, failure: FailedAttempt): Promise<void> {
    await this.#park(nextAttempt(known(envelope), failure), "retry", delayMs);
    this.#options.emit({ type: "job_retried", job: refOf(envelope), delayMs, message: failure.error.message });
  }

  async snooze(envelope: Envelope, delayMs: number): Promise<void> {
    await this.#park(known(envelope), "snoozed", delayMs);
    this.#options.emit({ type: "job_parked", job: refOf(envelope), reason: "snoozed" });
  }

  /**
   * No such name in this build: a rolling deploy must not lose the job. It comes back after as long as it has waited
   * already (5 s at least, 10 min at most), and is buried after 7 days.
   */
  async unknownName(envelope: Envelope, delivery: Delivery): Promise<void> {
    const now = this.#options.clock.now();
    const since = envelope.unknown_since ?? now;
    if (now - since >= LIMITS.unknownNameMs) {
      await this.bury(envelope, delivery, "unknown_job", noRun(envelope, now, `no worker has known "${envelope.name}" for 7 days`));
      return;
    }
    const delayMs = Math.min(600_000, Math.max(5_000, now - since));
    await this.#park({ ...envelope, unknown_since: since }, "unknown_name", delayMs);
    this.#options.emit({ type: "job_parked", job: refOf(envelope), reason: "unknown_name" });
  }

  async bury(envelope: Envelope, delivery: Delivery, reason: BurialReason, failure: FailedAttempt): Promise<void> {
    await this.#options.buried.bury({
      ...refOf(envelope),
      reason,
      buriedAt: this.#options.clock.now(),
      error: failure.error,
      history: withFailure(envelope, failure).history ?? [],
      body: delivery.body.toString(),
    });
    this.#options.emit({ type: "job_buried", job: refOf(envelope), reason, message: failure.error.message });
  }

  /** A message that can't be read as a job. It is kept, under the tenant whose queue it came from; whole if an item can hold it. */
  async buryUnreadable(delivery: Delivery, problem: string): Promise<void> {
    const { partition, queue } = splitBrokerQueue(delivery.brokerQueue) ?? { partition: delivery.brokerQueue, queue: "" };
    // The body names the item, so that a redelivery finds the same one.
    const id = `unreadable-${createHash("sha256").update(delivery.body).digest("hex").slice(0, 32)}`;
    const error = { name: "InvalidEnvelope", message: problem };
    await this.#options.buried.bury({
      partition,
      id,
      name: "",
      queue,
      attempt: 1,
      reason: "invalid_envelope",
      buriedAt: this.#options.clock.now(),
      error,
      history: [],
      body: readable(delivery.body),
    });
    this.#options.emit({ type: "job_buried", job: { id, name: "", partition, queue, attempt: 1 }, reason: "invalid_envelope", message: problem });
  }

  async #park(envelope: Envelope, reason: ParkedReason, delayMs: number): Promise<void> {
    const now = this.#options.clock.now();
    // `false` says that a later attempt is parked: this copy is stale, and its outcome is recorded by that one.
    await this.#options.parked.park({
      ...refOf(envelope),
      reason,
      due: now + delayMs,
      since: now,
      body: encodeEnvelope(envelope),
    });
  }
}

export function refOf({ id, name, partition, queue, attempt }: Envelope): JobRef {
  return { id, name, partition, queue, attempt };
}

/** A failure of a job that no handler was started for. */
export function noRun(envelope: Envelope, now: number, message: string): FailedAttempt {
  return { attempt: envelope.attempt, started_at: now, failed_at: now, task: "", error: { name: "NotRun", message } };
}

/** Cut after decoding: a byte that is no UTF-8 becomes three. */
function readable(body: Buffer): string {
  const text = body.subarray(0, LIMITS.envelopeBytes).toString();
  return Buffer.from(text).subarray(0, LIMITS.envelopeBytes).toString();
}

/** The envelope of a job whose name this build knows. */
function known(envelope: Envelope): Envelope {
  const { unknown_since: _, ...rest } = envelope;
  return rest;
}
