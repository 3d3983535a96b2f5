/** One call of a port, as a hook sees it. */
export interface PortCall {
  /** `parked`, `buried`, `queueKeys`, `executionKeys`, `cancels`, `suspects`, `belongings`, `publisher`, `admin`, `subscription` or `delivery`. */
  readonly port: string;
  readonly method: string;
  readonly args: readonly unknown[];
}

/**
 * Stands between the code under test and every twin: with it a test orders, delays, kills or loses calls. The effect of a
 * call is one synchronous step on the state, so whoever decides when a call goes on decides on every interleaving.
 *
 * ```
 *   caller ──▶ before ──▶ the effect, in one step ──▶ after ──▶ answer
 * ```
 *
 * | the hook | what that plays |
 * |---|---|
 * | `before` throws | the request never arrived |
 * | `before` resolves later | a slow network; the order of calls is the test's |
 * | `before` never resolves | the process died just before |
 * | `after` throws | the effect stands, its answer was lost |
 * | `after` never resolves | the process died just after |
 *
 * Answering `undefined` lets the call go on at once. Each process of a test has a hook of its own over the same state.
 */
export interface Hook {
  before?(call: PortCall): Promise<void> | undefined;
  after?(call: PortCall, answer: unknown): Promise<void> | undefined;
}

/** Lets every call go on at once. */
export const NO_HOOK: Hook = {};

/** A port as its twin is written: every method is one synchronous step. */
export type Steps<Port> = {
  readonly [Method in keyof Port]: Port[Method] extends (...args: infer Args) => Promise<infer Answer> ? (...args: Args) => Answer : never;
};

/** The port that these steps make, every call of it through the hook. */
export function asPort<Port>(port: string, steps: Steps<Port>, hook: Hook): Port {
  const methods = Object.entries<(...args: readonly unknown[]) => unknown>(steps as never).map(([method, step]) => [
    method,
    (...args: readonly unknown[]) => throughHook(hook, { port, method, args }, () => step(...args)),
  ]);
  return Object.fromEntries(methods) as Port;
}

/** One call: what the hook wants first, then the effect, then what the hook wants after it. */
export async function throughHook<Answer>(hook: Hook, call: PortCall, effect: () => Answer): Promise<Answer> {
  // Awaited only when there is something to wait for: without a hook the effect is there when the call returns.
  const before = hook.before?.(call);
  if (before !== undefined) await before;
  const answer = effect();
  const after = hook.after?.(call, answer);
  if (after !== undefined) await after;
  return answer;
}
