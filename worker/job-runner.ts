import type { Clock } from "../core/contract/clock.ts";
import { brokerQueue } from "../core/contract/names.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import { decodeEnvelope, type Envelope, InvalidEnvelope, NewerEnvelope } from "../core/job/envelope.ts";
import { lifeOf } from "../core/job/life.ts";
import { decideOutcome, type Outcome } from "../core/job/outcome.ts";
import type { Registry } from "../core/job/registry.ts";
import { runId } from "../core/keys/runs.ts";
import type { CancelWatch } from "./cancel-watch.ts";
import type { Claims, Keyring } from "./claims.ts";
import type { Emit } from "./events.ts";
import type { HookRunner, HookStates } from "./hook-runner.ts";
import type { LongRuns } from "./long-runs.ts";
import { type PerformOptions, perform } from "./perform.ts";
import { noRun, type Recorder, refOf } from "./record.ts";
import type { Run } from "./run.ts";
import { Suspects, withReturns } from "./suspects.ts";

export interface JobRunnerOptions extends PerformOptions {
  readonly boot: string;
  readonly registry: Registry;
  readonly recorder: Recorder;
  readonly keyring: Keyring;
  readonly suspects: Suspects;
  readonly cancelWatch: CancelWatch;
  readonly cancels: Pick<CancelStore, "hit">;
  readonly longRuns: LongRuns;
  readonly hooks: HookRunner;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Resolves after so many ms. */
  pause(ms: number): Promise<void>;
  /** Whether the lease allows a new job at this moment. */
  mayStart(): boolean;
}

/** Before a message whose outcome could not be recorded goes back: the store is away, or a run may be alive; so don't spin. */
const HAND_BACK_PAUSE_MS = 1_000;
/** An outcome is offered to the store this often, with that pause, before its job goes back. */
const RECORD_TRIES = 3;

const POISON = "its worker died, or lost its connections, again and again while it ran";

/** One run and what it has gathered. */
interface Attempt {
  readonly run: Run;
  readonly envelope: Envelope;
  claims: Claims | undefined;
  hookStates: HookStates;
}

/**
 * A job's life in a task, top to bottom: decode; is it cancelled, a copy, a suspect, known by name; its keys; its args;
 * run it; decide the outcome; record the outcome; and only then ack. A plain job that succeeds touches nothing but memory.
 */
export class JobRunner {
  readonly #options: JobRunnerOptions;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  /** Resolves once the handler has settled and the delivery is acked or handed back. Never rejects. */
  async run(run: Run): Promise<void> {
    const envelope = await this.#decoded(run);
    if (envelope === undefined) return;
    const attempt: Attempt = { run, envelope, claims: undefined, hookStates: [] };
    try {
      await this.#conclude(attempt, await this.#outcomeOf(attempt));
    } catch (error) {
      await this.#giveUp(attempt, error);
    }
    await this.#options.suspects.ended(run, envelope);
  }

  /** What can't be read as a job is buried at once, but for one of a newer build: that waits for a worker that can. */
  async #decoded(run: Run): Promise<Envelope | undefined> {
    const { recorder, emit } = this.#options;
    try {
      return decode(run);
    } catch (error) {
      try {
        if (!(error instanceof InvalidEnvelope)) throw error;
        const kept = error instanceof NewerEnvelope && (await this.#insist(run, () => recorder.unknownName(error.envelope)));
        if (!kept) await this.#insist(run, () => recorder.buryUnreadable(run.delivery, error.message));
        run.delivery.ack();
      } catch (failed) {
        emit({ type: "trouble", doing: "burying a message that is no job", error: failed });
        run.delivery.nack();
      }
      return undefined;
    }
  }

  async #outcomeOf(attempt: Attempt): Promise<Outcome> {
    const { run, envelope } = attempt;
    const { registry, recorder, cancelWatch, suspects, keyring, clock } = this.#options;
    const cancelled = cancelWatch.has(envelope);
    if (cancelled === true || (cancelled !== false && (await cancelled))) return { kind: "cancelled" };
    if (run.delivery.redelivered) {
      if (await cancelWatch.hasNow(envelope)) return { kind: "cancelled" };
      const recorded = await recorder.wasRecorded(run, envelope);
      if (recorded !== undefined) return { kind: "recorded", as: recorded };
    }
    const suspect = Suspects.isSuspect(run, envelope);
    if (suspect && !(await suspects.enter(run, envelope))) return { kind: "waits_as_suspect" };
    const definition = registry.get(envelope.name);
    if (definition === undefined) return { kind: "unknown_name" };
    const claims = keyring.claimsOf(envelope, run);
    const refused = claims === undefined ? undefined : await this.#claim(attempt, claims);
    if (refused !== undefined) return refused;
    if (suspect && !(await suspects.mayStart(run, envelope)))
      return { kind: "bury", reason: "poison", failure: noRun(envelope, clock.now(), POISON) };
    // Aborted while the table was asked: what has not begun must not begin.
    this.#lookAgain(run);
    if (run.aborted !== undefined) return run.aborted === "cancelled" ? { kind: "cancelled" } : { kind: "hand_back" };

    if (this.#options.hooks.any) {
      attempt.hookStates = await this.#options.hooks.beforeRun(envelope);
      this.#lookAgain(run);
    }
    const startedAt = clock.now();
    const result = await perform(this.#options, definition, envelope, run);
    if ("invalidArgs" in result) return { kind: "bury", reason: "invalid_args", failure: noRun(envelope, clock.now(), result.invalidArgs) };
    if (result.ok && run.aborted === undefined) return { kind: "done" };
    return decideOutcome({ envelope, startedAt, endedAt: clock.now(), task: this.#options.boot, aborted: run.aborted, result }, definition.retry);
  }

  /**
   * The lease allowed this job when its turn came. A process that stood still since then, while an answer was on its way,
   * goes on with that answer before any timer can tell it that its time is over.
   */
  #lookAgain(run: Run): void {
    if (!this.#options.mayStart()) run.abort("lease_lost");
  }

  /** @returns why a job does not run, if it does not get its keys */
  async #claim(attempt: Attempt, claims: Claims): Promise<Outcome | undefined> {
    const taken = await claims.take(attempt.run);
    switch (taken.kind) {
      case "mine":
        attempt.claims = claims;
        return undefined;
      case "ended":
      case "gone_on":
        return { kind: "recorded", as: taken.kind };
      case "held":
        return { kind: "waits_for_itself" };
      case "busy":
        return { kind: "waits_for_key", heldByItself: taken.heldByItself };
    }
  }

  /** Records, leaves the keys, acks: in this order. @throws StoreUnavailable before anything is final */
  async #conclude(attempt: Attempt, outcome: Outcome): Promise<void> {
    const { run, envelope, claims } = attempt;
    const { boot, recorder, keyring, hooks } = this.#options;
    switch (outcome.kind) {
      case "done":
        if (claims !== undefined) await this.#insist(run, () => claims.finish());
        await this.#ack(attempt);
        return hooks.tell("afterRun", envelope, ({ afterRun }, job, state) => afterRun?.(job, state), attempt.hookStates);
      case "hand_back":
        return this.#handBack(attempt);
      case "retry":
        await this.#insist(run, () => recorder.retry(asItCame(run), outcome.delayMs, outcome.failure));
        await this.#parked(attempt, envelope.attempt + 1);
        return hooks.tell("onError", envelope, ({ onError }, job, state) => onError?.(job, outcome.failure, state), attempt.hookStates);
      case "snooze":
        await this.#insist(run, () => recorder.snooze(asItCame(run), outcome.delayMs, runId(boot, run)));
        return this.#parked(attempt, envelope.attempt);
      case "bury":
        return this.#bury(attempt, outcome);
      case "cancelled":
        return this.#cancel(attempt);
      case "recorded":
        // A burial may have died before it freed the keys; a copy that came late may have got into line. Nothing else would mend it.
        if ((outcome.as === "buried" || outcome.as === "ended") && !(await keyring.abandon(envelope))) return this.#endLater(attempt);
        return run.delivery.ack();
      case "unknown_name":
        if (await this.#insist(run, () => recorder.unknownName(withReturns(run, envelope)))) return run.delivery.ack();
        return this.#bury(attempt, {
          reason: "unknown_job",
          failure: noRun(envelope, this.#options.clock.now(), `no worker has known "${envelope.name}" for 7 days`),
        });
      case "waits_as_suspect":
        await this.#insist(run, () => recorder.waitAsSuspect(withReturns(run, envelope)));
        return run.delivery.ack();
      case "waits_for_itself":
        await this.#insist(run, () => recorder.waitForItself(withReturns(run, envelope)));
        return run.delivery.ack();
      case "waits_for_key":
        await this.#insist(run, () => keyring.wait(envelope, recorder.waiter(withReturns(run, envelope), outcome.heldByItself)));
        this.#options.emit({ type: "job_parked", job: refOf(envelope), reason: "waiting" });
        return run.delivery.ack();
    }
  }

  async #bury(attempt: Attempt, { reason, failure }: Pick<Outcome & { kind: "bury" }, "reason" | "failure">): Promise<void> {
    const { run, envelope, claims } = attempt;
    const { recorder, keyring, hooks } = this.#options;
    await this.#insist(run, () => recorder.bury(envelope, run.delivery.body.toString(), reason, failure));
    if (claims !== undefined) await this.#insist(run, () => claims.finish());
    else if (!(await this.#insist(run, () => keyring.abandon(envelope)))) return this.#endLater(attempt);
    await this.#ack(attempt);
    hooks.tellBuried(envelope, reason, failure, attempt.hookStates);
  }

  async #cancel(attempt: Attempt): Promise<void> {
    const { run, envelope, claims } = attempt;
    const { boot, keyring, cancels, hooks, emit } = this.#options;
    if (claims !== undefined) await this.#insist(run, () => claims.finish());
    else if (!(await this.#insist(run, () => keyring.abandon(envelope)))) return this.#endLater(attempt);
    // Of all copies of the job, one tells; at once, since no other will.
    if (await this.#insist(run, () => cancels.hit(envelope.partition, lifeOf(envelope), runId(boot, run)))) {
      emit({ type: "job_cancelled", job: refOf(envelope) });
      hooks.tell("onCancel", envelope, ({ onCancel }, job) => onCancel?.(job));
    }
    await this.#ack(attempt);
  }

  /** The outcome is a parked item, in the place of the one that a long run had. */
  async #parked({ run, claims }: Attempt, attempt: number): Promise<void> {
    await claims?.goOn(attempt);
    if (!this.#options.longRuns.isShort(run)) await this.#options.longRuns.replaced(run);
    run.delivery.ack();
  }

  async #ack({ run, envelope }: Attempt): Promise<void> {
    if (!this.#options.longRuns.isShort(run)) await this.#insist(run, () => this.#options.longRuns.end(run, envelope));
    run.delivery.ack();
  }

  async #handBack({ run, envelope, claims }: Attempt): Promise<void> {
    const { emit, longRuns } = this.#options;
    await claims?.handBack();
    if (!longRuns.isShort(run)) {
      await longRuns
        .handBack(run, envelope)
        .catch((error: unknown) => emit({ type: "trouble", doing: `handing back the long job ${envelope.id}`, error }));
    }
    emit({ type: "job_handed_back", job: refOf(envelope), why: run.aborted ?? "asked" });
    run.delivery.nack();
  }

  /** A run of this job may still be alive somewhere. The courier ends it once that has ended: in a slot it would spin. */
  async #endLater({ run, envelope }: Attempt): Promise<void> {
    await this.#insist(run, () => this.#options.recorder.endLater(envelope));
    run.delivery.ack();
  }

  /** Only the store fails here: nothing is final, so the job goes back. */
  async #giveUp(attempt: Attempt, error: unknown): Promise<void> {
    this.#options.emit({ type: "trouble", doing: `recording what became of job ${attempt.envelope.id}`, error });
    await this.#pause(attempt.run);
    await this.#handBack(attempt);
  }

  /** Offers the store the same again when it has no answer: running a job twice is worse than waiting a moment. */
  async #insist<T>(run: Run, record: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await record();
      } catch (error) {
        if (tries >= RECORD_TRIES || isHurried(run)) throw error;
        await this.#pause(run);
      }
    }
  }

  async #pause(run: Run): Promise<void> {
    if (!isHurried(run)) await this.#options.pause(HAND_BACK_PAUSE_MS);
  }
}

/** The handler may have changed the args that it was given; the next attempt gets them as they were enqueued. */
function asItCame(run: Run): Envelope {
  return decodeEnvelope(run.delivery.body);
}

/** Whether its message is gone, or the task is about to go: nothing is gained by waiting. */
function isHurried({ aborted }: Run): boolean {
  return aborted !== undefined && aborted !== "cancelled" && aborted !== "timed_out";
}

/** @throws InvalidEnvelope, also when the job sits in a queue that is not its own: no tenant reaches into another's */
function decode(run: Run): Envelope {
  try {
    const envelope = decodeEnvelope(run.delivery.body);
    checkOwn(run, envelope);
    run.decoded(envelope);
    return envelope;
  } catch (error) {
    if (error instanceof NewerEnvelope) checkOwn(run, error.envelope);
    throw error;
  }
}

function checkOwn({ delivery }: Run, { partition, queue }: Envelope): void {
  const own = brokerQueue(partition, queue);
  if (delivery.brokerQueue !== own)
    throw new InvalidEnvelope("envelope.partition", `a job of "${own}" came through the queue "${delivery.brokerQueue}"`);
}
