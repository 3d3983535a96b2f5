import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../core/contract/clock.ts";
import { brokerQueue } from "../core/contract/names.ts";
import { checkArgs, type JobDefinition } from "../core/job/define-job.ts";
import { decodeEnvelope, type Envelope, InvalidEnvelope } from "../core/job/envelope.ts";
import { decideOutcome, type Outcome, type RunEnd } from "../core/job/outcome.ts";
import type { Registry } from "../core/job/registry.ts";
import type { Emit } from "./events.ts";
import { noRun, type Recorder, refOf } from "./record.ts";
import type { Run } from "./run.ts";

export interface JobRunnerOptions {
  readonly boot: string;
  readonly registry: Registry;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Before a message whose outcome could not be recorded goes back: the store is away, so don't spin. */
const HAND_BACK_PAUSE_MS = 1_000;

/**
 * A job's life in a task, top to bottom: decode, look whether it is a copy, know its name, check its args, run it,
 * decide the outcome, record the outcome, and only then ack. A plain job that succeeds touches nothing but memory.
 */
export class JobRunner {
  readonly #options: JobRunnerOptions;

  constructor(options: JobRunnerOptions) {
    this.#options = options;
  }

  /** Resolves once the handler has settled and the delivery is acked or handed back. Never rejects. */
  async run(run: Run): Promise<void> {
    const { delivery } = run;
    let envelope: Envelope;
    try {
      envelope = decode(run);
    } catch (error) {
      if (error instanceof InvalidEnvelope) await this.#settle(run, () => this.#options.recorder.buryUnreadable(delivery, error.message));
      else this.#trouble(run, "decoding a message", error);
      return;
    }
    try {
      const outcome = await this.#outcomeOf(run, envelope);
      if (outcome.kind === "done" || outcome.kind === "recorded") delivery.ack();
      else if (outcome.kind === "hand_back") this.#handBack(run, envelope);
      else await this.#settle(run, () => this.#record(run, envelope, outcome));
    } catch (error) {
      // Only the store throws here, asked about a redelivery: nothing has run, nothing is recorded.
      await this.#afterPause(run, "asking for an earlier outcome", error);
    }
  }

  async #outcomeOf(run: Run, envelope: Envelope): Promise<Outcome> {
    const { registry, recorder, clock } = this.#options;
    if (run.delivery.redelivered && (await recorder.wasRecorded(envelope))) return { kind: "recorded" };
    // Aborted while the table was asked: what has not begun must not begin.
    if (run.aborted !== undefined) return { kind: "hand_back" };
    const definition = registry.get(envelope.name);
    if (definition === undefined) return { kind: "unknown_name" };
    const result = await perform(definition, envelope, run);
    if ("invalidArgs" in result) {
      return { kind: "bury", reason: "invalid_args", failure: noRun(envelope, clock.now(), result.invalidArgs) };
    }
    const { boot } = this.#options;
    if (result.ok) return { kind: "done" };
    const end: RunEnd = { envelope, startedAt: run.startedAt, endedAt: clock.now(), task: boot, aborted: run.aborted !== undefined, result };
    return decideOutcome(end, definition.retry);
  }

  async #record(run: Run, envelope: Envelope, outcome: Exclude<Outcome, { kind: "done" | "recorded" | "hand_back" }>): Promise<void> {
    const { recorder } = this.#options;
    switch (outcome.kind) {
      case "retry":
        return recorder.retry(envelope, outcome.delayMs, outcome.failure);
      case "snooze":
        return recorder.snooze(envelope, outcome.delayMs);
      case "bury":
        return recorder.bury(envelope, run.delivery, outcome.reason, outcome.failure);
      case "unknown_name":
        return recorder.unknownName(envelope, run.delivery);
    }
  }

  /** Records, then acks; what can't be recorded goes back to its queue. */
  async #settle(run: Run, record: () => Promise<void>): Promise<void> {
    try {
      await record();
      run.delivery.ack();
    } catch (error) {
      await this.#afterPause(run, "recording an outcome", error);
    }
  }

  #handBack(run: Run, envelope: Envelope): void {
    this.#options.emit({ type: "job_handed_back", job: refOf(envelope), why: run.aborted?.code ?? "asked" });
    run.delivery.nack();
  }

  async #afterPause(run: Run, doing: string, error: unknown): Promise<void> {
    if (run.aborted === undefined) await wait(HAND_BACK_PAUSE_MS);
    this.#trouble(run, doing, error);
  }

  #trouble(run: Run, doing: string, error: unknown): void {
    this.#options.emit({ type: "trouble", doing, error });
    run.delivery.nack();
  }
}

/** @throws InvalidEnvelope, also when the job sits in a queue that is not its own: no tenant reaches into another's */
function decode(run: Run): Envelope {
  const envelope = decodeEnvelope(run.delivery.body);
  const own = brokerQueue(envelope.partition, envelope.queue);
  const came = run.delivery.brokerQueue;
  if (came !== own) throw new InvalidEnvelope("envelope.partition", `a job of "${own}" came through the queue "${came}"`);
  run.decoded(envelope);
  return envelope;
}

type Performed = { readonly ok: true } | { readonly ok: false; readonly error: unknown } | { readonly invalidArgs: string };

/** Runs the handler until it has settled. Whatever it throws is its result, never ours. */
async function perform(definition: JobDefinition, envelope: Envelope, run: Run): Promise<Performed> {
  try {
    const checking = checkArgs(definition, envelope.args);
    const args = checking instanceof Promise ? await checking : checking;
    if (!args.ok) return { invalidArgs: args.problem };
    if (run.aborted !== undefined) return { ok: false, error: run.aborted };
    await definition.perform(args.value, run);
    return { ok: true };
  } catch (error) {
    return { ok: false, error };
  }
}
