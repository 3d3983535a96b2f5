import { jobInfoOf } from "../core/job/context.ts";
import { attemptOf, type Envelope, type FailedAttempt } from "../core/job/envelope.ts";
import type { HookedJob, Hooks } from "../core/job/hooks.ts";
import type { BurialReason } from "../core/job/outcome.ts";
import type { Emit } from "./events.ts";

/** What `beforeRun` of each set of hooks returned, in their order. */
export type HookStates = readonly unknown[];

const NO_STATES: HookStates = [];

/**
 * Calls the user's hooks. Nothing that they do, throw or never do reaches the job: it is reported as trouble. Only
 * `beforeRun` is waited for, no longer than `timeoutMs`; the others run beside the work, and a stopping task gives them
 * that long.
 */
export class HookRunner {
  readonly #hooks: readonly Hooks[];
  readonly #emit: Emit;
  readonly #timeoutMs: number;
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(hooks: readonly Hooks[], emit: Emit, timeoutMs: number) {
    this.#hooks = hooks;
    this.#emit = emit;
    this.#timeoutMs = timeoutMs;
  }

  /** Whether there is any hook at all; a program without costs nothing. */
  get any(): boolean {
    return this.#hooks.length > 0;
  }

  async beforeRun(envelope: Envelope): Promise<HookStates> {
    if (!this.#hooks.some(({ beforeRun }) => beforeRun !== undefined)) return NO_STATES;
    return Promise.all(this.#hooks.map((hooks) => this.#within("beforeRun", envelope, (job) => hooks.beforeRun?.(job))));
  }

  /** Calls one hook of every set; returns at once. */
  tell(
    name: Exclude<keyof Hooks, "beforeRun">,
    envelope: Envelope,
    call: (hooks: Hooks, job: HookedJob, state: unknown) => unknown,
    states = NO_STATES,
  ): void {
    if (!this.#hooks.some((hooks) => hooks[name] !== undefined)) return;
    this.#hooks.forEach((hooks, i) => {
      const calling = this.#within(name, envelope, (job) => call(hooks, job, states[i]));
      this.#underWay.add(calling);
      void calling.finally(() => this.#underWay.delete(calling));
    });
  }

  /** What every burial of a job tells, in this order. */
  tellBuried(envelope: Envelope, reason: BurialReason, failure: FailedAttempt, states = NO_STATES): void {
    this.tell("onError", envelope, ({ onError }, job, state) => onError?.(job, failure, state), states);
    this.tell("onBuried", envelope, ({ onBuried }, job) => onBuried?.(job, reason, failure));
  }

  /** Resolves once the hooks under way have ended, or their time is up. */
  async rested(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #within(name: string, envelope: Envelope, call: (job: HookedJob) => unknown): Promise<unknown> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`it has not ended after ${this.#timeoutMs / 1000} s`)), this.#timeoutMs);
    });
    try {
      // A hook may throw before it returns a promise, and args may be nested too deep to be copied.
      return await Promise.race([Promise.resolve().then(() => call(hooked(envelope))), late]);
    } catch (error) {
      this.#emit({ type: "trouble", doing: `the hook ${name} of job ${envelope.id}`, error });
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

function hooked(envelope: Envelope): HookedJob {
  // A copy: what a hook does to its args must not reach the handler, nor the next attempt.
  return { ...jobInfoOf(envelope), attempt: attemptOf(envelope), args: structuredClone(envelope.args) };
}
