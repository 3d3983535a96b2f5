import type { JobInfo } from "./context.ts";
import type { FailedAttempt, Json } from "./envelope.ts";
import type { BurialReason } from "./outcome.ts";

/** The job that a hook is told of. */
export interface HookedJob extends JobInfo {
  readonly attempt: number;
  readonly args: Json;
}

/**
 * What a program wants to know of its jobs' lives, beside the jobs themselves. A hook that throws, rejects or hangs is
 * logged and changes nothing: neither the outcome, nor the job's clock, nor the ack.
 *
 * | hook | when | how often |
 * |---|---|---|
 * | `beforeRun` | before the handler; the handler waits for it, 10 s at most | every attempt |
 * | `afterRun` | the job is done and acked | once, again only if the job ran again |
 * | `onError` | an attempt failed and that is recorded, also the last one | every failed attempt |
 * | `onBuried` | the job is buried, after `onError` | every burial; not of a message that can't be read as a job |
 * | `onCancel` | the job is cancelled and its keys are free | once; not at all if the worker dies, or loses the table, in that moment |
 */
export interface Hooks<State = unknown> {
  /** What it returns is handed to `afterRun` and `onError` of the same attempt. */
  beforeRun?(job: HookedJob): State | Promise<State>;
  /** `state` is `undefined` when `beforeRun` failed or hung. */
  afterRun?(job: HookedJob, state: State | undefined): unknown;
  onError?(job: HookedJob, failure: FailedAttempt, state: State | undefined): unknown;
  onBuried?(job: HookedJob, reason: BurialReason, failure: FailedAttempt): unknown;
  onCancel?(job: HookedJob): unknown;
}

const DEFINED = Symbol.for("roger.hooks");
const NAMES = ["beforeRun", "afterRun", "onError", "onBuried", "onCancel"] as const;

/**
 * Defines hooks for all jobs of a program; register them by exporting them from `jobs/index.ts`, beside the jobs.
 * @throws TypeError naming the hook that is none
 */
export function defineHooks<State>(hooks: Hooks<State>): Hooks<State> {
  for (const [name, hook] of Object.entries(hooks)) {
    if (!NAMES.some((known) => known === name)) throw new TypeError(`defineHooks: there is no hook "${name}"`);
    if (typeof hook !== "function") throw new TypeError(`defineHooks: ${name} must be a function`);
  }
  // Bound, so that an instance of a class will do.
  const bound = NAMES.filter((name) => hooks[name] !== undefined).map((name) => [name, hooks[name]?.bind(hooks)]);
  return Object.defineProperty(Object.fromEntries(bound), DEFINED, { value: true }) as Hooks<State>;
}

/** The hooks that a module exports, in the order of their names; other exports are left alone. */
export function hooksOf(module: Record<string, unknown>): Hooks[] {
  return [...new Set(Object.values(module).filter(isHooks))];
}

function isHooks(value: unknown): value is Hooks {
  return typeof value === "object" && value !== null && DEFINED in value;
}
