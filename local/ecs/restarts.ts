import type { Clock } from "../../core/contract/clock.ts";

export interface RestartPolicy {
  /** The wait after the second failure in a row; it doubles with each further one. @default 1_000 */
  readonly firstMs: number;
  /** @default 60_000; ECS goes up to 15 minutes, which nobody would wait for in front of a terminal */
  readonly maxMs: number;
  /** A task that ran for this long did not fail to start. @default 30_000 */
  readonly settledMs: number;
}

export const DEFAULT_RESTARTS: RestartPolicy = { firstMs: 1_000, maxMs: 60_000, settledMs: 30_000 };

/**
 * How long a service waits before it replaces tasks that ended by themselves: a crash after a settled life is replaced at once,
 * and so is the first early one; then ever more slowly. ECS throttles only tasks that never reach RUNNING; a process reaches it as
 * soon as it exists, so here an early end counts as well.
 */
export class Restarts {
  readonly #clock: Clock;
  readonly #policy: RestartPolicy;
  #failures = 0;
  #notBefore = 0;

  constructor(clock: Clock, policy: RestartPolicy) {
    this.#clock = clock;
    this.#policy = policy;
  }

  /** @param ranMs how long the task ran; 0 when it could not be started */
  ended(ranMs: number): void {
    if (ranMs >= this.#policy.settledMs) {
      this.reset();
      return;
    }
    this.#failures += 1;
    const wait = this.#failures === 1 ? 0 : Math.min(this.#policy.maxMs, this.#policy.firstMs * 2 ** (this.#failures - 2));
    this.#notBefore = this.#clock.monotonic() + wait;
  }

  /** Milliseconds until tasks may be started. */
  get waitMs(): number {
    return Math.max(0, this.#notBefore - this.#clock.monotonic());
  }

  reset(): void {
    this.#failures = 0;
    this.#notBefore = 0;
  }
}
