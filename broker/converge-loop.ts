import { setImmediate as tick } from "node:timers/promises";

const FIRST_DELAY_MS = 200;
const LAST_DELAY_MS = 5_000;

/** What is kept up, and who hears when it cannot be. */
export interface Convergence {
  /** Moves what is to what is wanted. It may throw half-way: what is done stays done, the next round goes on. */
  converge(): Promise<void>;
  /** Never throws. */
  onRetry(error: unknown, delayMs: number): void;
}

/**
 * A level-triggered loop: it does not follow events but runs rounds that look at what is wanted now.
 * One round at a time; a wake during a round makes exactly one more; a failed round is repeated after a growing,
 * jittered delay from 200 ms to 5 s, or at the next wake.
 */
export class ConvergeLoop {
  private readonly convergence: Convergence;
  private current: Promise<void> = Promise.resolve();
  private next: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  private stopped = false;

  constructor(convergence: Convergence) {
    this.convergence = convergence;
  }

  /** Asks for a round that begins after this call. Resolves when it has ended, well or not; never rejects. */
  wake(): Promise<void> {
    if (this.stopped) return this.current;
    this.next ??= this.current.then(() => this.round());
    return this.next;
  }

  /** Asks for a round in a moment: for losses that would repeat at once if they were mended at once. */
  wakeLater(): number {
    const delayMs = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.failures) * (0.5 + Math.random() / 2);
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => void this.wake(), delayMs);
    return delayMs;
  }

  /** Resolves when the last round has ended. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.timer);
    await (this.next ?? this.current);
  }

  private async round(): Promise<void> {
    await tick(); // all wishes of one moment make one round, and a caller in a loop starves nobody
    this.current = this.next ?? this.current;
    this.next = undefined;
    clearTimeout(this.timer);
    try {
      await this.convergence.converge();
      this.failures = 0;
    } catch (error) {
      const delayMs = this.wakeLater();
      this.failures = Math.min(this.failures + 1, 10);
      this.convergence.onRetry(error, delayMs);
    }
  }
}
