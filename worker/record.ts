import { createHash } from "node:crypto";
import type { Clock } from "../core/contract/clock.ts";
import { RogerError } from "../core/contract/errors.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { splitBrokerQueue } from "../core/contract/names.ts";
import type { Delivery } from "../core/job/broker.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import { attemptOf, type Envelope, encodeEnvelope, envelopeOf, type FailedAttempt, withoutWaits } from "../core/job/envelope.ts";
import { type BurialReason, nextAttempt, withFailure } from "../core/job/outcome.ts";
import { type NewParkedJob, type ParkedJob, type ParkedReason, type ParkedStore, parkedJob } from "../core/job/parked.ts";
import type { Emit, JobRef } from "./events.ts";
import { type Delivered, returnsOf } from "./suspects.ts";

export interface RecorderOptions {
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** How long a job that can't run now stays parked, at least; one that waits for its execution key then waits as long as it has waited already. */
const WAIT_MS = { itself: 2_000, itselfMost: 20_000, suspect: 5_000, unknownName: 5_000, key: 60_000, most: LIMITS.mostWaitMs } as const;

/**
 * Writes down what became of a job: one function per outcome. Each is safe to repeat, and only after it has succeeded
 * may the message be acked.
 *
 * | dies after | then |
 * |---|---|
 * | nothing written | the message comes again, the job runs again |
 * | the item is written, not acked | the message comes again marked as redelivered; `wasRecorded` finds the item; it is acked and dropped |
 * | a claimed item is touched, not made due | its pump does not delete it any more; the message finds it again, and once the claim has lapsed it is published anew |
 * | … made due, not acked | the message finds it again; or it is on its way, and two messages are of one job |
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
   * What became of an earlier delivery of this very attempt, so that a redelivery may be dropped: it was parked for later
   * (or the item that it was published from is still there and publishes it anew), or buried.
   */
  async wasRecorded(run: Delivered, envelope: Envelope): Promise<"parked" | "buried" | undefined> {
    const { parked, buried } = this.#options;
    const item = await parked.touch(envelope, { enqueuedAt: envelope.enqueued_at, attempt: envelope.attempt });
    if (item !== undefined) {
      await this.#carryOn(item, run, envelope);
      return "parked";
    }
    const grave = await buried.get(envelope.partition, envelope.id);
    return grave?.enqueuedAt === envelope.enqueued_at && grave.attempt >= envelope.attempt ? "buried" : undefined;
  }

  /**
   * Handed back before the pump had deleted what it published: its delete is refused now, so let it publish at once. What it
   * publishes is to tell how often the job came back: RabbitMQ counts that message from zero.
   */
  async #carryOn(item: ParkedJob, run: Delivered, envelope: Envelope): Promise<void> {
    const { parked, clock } = this.#options;
    const body = item.attempt === envelope.attempt && item.run === undefined ? bodyWithReturns(item, returnsOf(run, envelope)) : undefined;
    if (!item.claimed && body === undefined) return;
    // Refused when it was written, or published, in between: it is on its way then.
    await parked.postpone(item, item.rev, item.claimed ? clock.now() : item.due, body);
  }

  async retry(envelope: Envelope, delayMs: number, failure: FailedAttempt): Promise<void> {
    await this.#park(nextAttempt(withoutWaits(envelope), failure), "retry", delayMs);
    this.#options.emit({ type: "job_retried", job: refOf(envelope), delayMs, message: failure.error.message });
  }

  /** @param run whose outcome it is: a long one's own item may be in the way */
  async snooze(envelope: Envelope, delayMs: number, run: string): Promise<void> {
    await this.#park(withoutWaits(envelope), "snoozed", delayMs, run);
    this.#options.emit({ type: "job_parked", job: refOf(envelope), reason: "snoozed" });
  }

  /** Another run of this very job may be alive. */
  async waitForItself(envelope: Envelope): Promise<void> {
    await this.#park(this.#waiting(envelope), "waiting", this.#backOff(envelope, WAIT_MS.itself, WAIT_MS.itselfMost));
    this.#options.emit({ type: "job_parked", job: refOf(envelope), reason: "waiting" });
  }

  /** It has come to its end, but a run of it may be alive that holds its keys: the courier frees them and forgets it. */
  async endLater(envelope: Envelope): Promise<void> {
    await this.#park(envelope, "cancelled", WAIT_MS.itself);
  }

  /** A worker that runs no other suspect will run it. */
  async waitAsSuspect(envelope: Envelope): Promise<void> {
    await this.#park(this.#waiting(envelope), "suspect", this.#backOff(envelope, WAIT_MS.suspect, WAIT_MS.most));
    this.#options.emit({ type: "job_parked", job: refOf(envelope), reason: "suspect" });
  }

  /** The parked job of one that gets into line for its execution key (core/keys/execution-key.ts puts it). */
  waiter(envelope: Envelope, heldByItself: boolean): NewParkedJob {
    const now = this.#options.clock.now();
    const due =
      now + (heldByItself ? this.#backOff(envelope, WAIT_MS.itself, WAIT_MS.itselfMost) : this.#backOff(envelope, WAIT_MS.key, WAIT_MS.most));
    return parkedJob(this.#waiting(envelope), { reason: "waiting", due, since: envelope.waiting_since ?? now });
  }

  #waiting(envelope: Envelope): Envelope {
    return envelope.waiting_since === undefined ? { ...envelope, waiting_since: this.#options.clock.now() } : envelope;
  }

  /** As long as it has waited already, within these bounds. */
  #backOff({ waiting_since }: Envelope, least: number, most: number): number {
    const now = this.#options.clock.now();
    return Math.min(most, Math.max(least, now - (waiting_since ?? now)));
  }

  /**
   * No such name in this build: a rolling deploy must not lose the job. It comes back after as long as it has waited
   * already (5 s at least, 10 min at most).
   * @returns `false` after 7 days: it is to be buried
   */
  async unknownName(envelope: Envelope): Promise<boolean> {
    const now = this.#options.clock.now();
    const since = envelope.unknown_since ?? now;
    if (now - since >= LIMITS.unknownNameMs) return false;
    await this.#park({ ...envelope, unknown_since: since }, "unknown_name", Math.min(WAIT_MS.most, Math.max(WAIT_MS.unknownName, now - since)));
    this.#options.emit({ type: "job_parked", job: refOf(envelope), reason: "unknown_name" });
    return true;
  }

  async bury(envelope: Envelope, body: string, reason: BurialReason, failure: FailedAttempt): Promise<void> {
    const grave = { ...refOf(envelope), enqueuedAt: envelope.enqueued_at, reason, buriedAt: this.#options.clock.now(), error: failure.error };
    const history = withFailure(envelope, failure).history ?? [];
    try {
      await this.#options.buried.bury({ ...grave, history, body });
    } catch (error) {
      // Errors that quote errors may outgrow an item, and what can't be buried would run again for ever.
      if (!(error instanceof RogerError) || error.code !== "store_refused") throw error;
      const { history: _, ...rest } = envelope;
      await this.#options.buried.bury({ ...grave, history: history.slice(-1), body: encodeEnvelope(rest) });
    }
    this.#options.emit({ type: "job_buried", job: refOf(envelope), reason, message: failure.error.message });
  }

  /** A message that can't be read as a job. It is kept, under the tenant whose queue it came from; whole if an item can hold it. */
  async buryUnreadable(delivery: Pick<Delivery, "body" | "brokerQueue">, problem: string): Promise<void> {
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

  async #park(envelope: Envelope, reason: ParkedReason, delayMs: number, run?: string): Promise<void> {
    const now = this.#options.clock.now();
    // No `rev` says that a later attempt or life is parked: this copy is stale, and its outcome is recorded by that one.
    await this.#options.parked.park(parkedJob(envelope, { reason, due: now + delayMs, since: now }), run);
  }
}

export function refOf({ id, name, partition, queue, attempt }: Envelope): JobRef {
  return { id, name, partition, queue, attempt };
}

/** A failure of a job that no handler was started for. */
export function noRun(envelope: Envelope, now: number, message: string): FailedAttempt {
  return { attempt: attemptOf(envelope), started_at: now, failed_at: now, task: "", error: { name: "NotRun", message } };
}

/** @returns `undefined` when it tells of as many already */
function bodyWithReturns({ body }: ParkedJob, returns: number): string | undefined {
  const envelope = envelopeOf(body);
  return envelope === undefined || (envelope.returns ?? 0) >= returns ? undefined : encodeEnvelope({ ...envelope, returns });
}

/** Cut after decoding: a byte that is no UTF-8 becomes three. */
function readable(body: Buffer): string {
  const text = body.subarray(0, LIMITS.envelopeBytes).toString();
  return Buffer.from(text).subarray(0, LIMITS.envelopeBytes).toString();
}
