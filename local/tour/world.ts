import { setTimeout as sleep } from "node:timers/promises";
import type { RogerApi } from "../../client/api.ts";
import type { Clock } from "../../core/contract/clock.ts";
import type { Progress } from "../progress.ts";

/** What every step of the tour has to do with. */
export interface World {
  readonly api: RogerApi;
  readonly progress: Progress;
  readonly checks: Checks;
  /** For result files. */
  readonly dir: string;
  readonly clock: Clock;
  /** Aborts when the tour must end. */
  readonly signal: AbortSignal;
}

/** What was as it must be, and what was not. A step goes on after a difference: the next ones may tell more. */
export class Checks {
  readonly right: string[] = [];
  readonly wrong: string[] = [];

  /** @param what a sentence that is true when all is well */
  that(holds: boolean, what: string, found?: unknown): void {
    if (holds) this.right.push(what);
    else this.wrong.push(found === undefined ? what : `${what} (found: ${typeof found === "string" ? found : JSON.stringify(found)})`);
  }
}

export interface WaitOptions {
  /** What is waited for, to be put after "waited N s for". */
  readonly what: string;
  readonly deadlineMs: number;
  /** @default 250 */
  readonly everyMs?: number;
}

/**
 * Asks again and again until `look` returns something.
 * @throws Error at the deadline; the signal's reason when the tour must end
 */
export async function waitFor<T>(
  { clock, signal }: World,
  { what, deadlineMs, everyMs = 250 }: WaitOptions,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const until = clock.monotonic() + deadlineMs;
  for (;;) {
    signal.throwIfAborted();
    const found = await look();
    if (found !== undefined) return found;
    if (clock.monotonic() > until) throw new Error(`waited ${deadlineMs / 1000} s for ${what}`);
    await sleep(everyMs, undefined, { signal });
  }
}

/** Seconds since a moment of the monotonic clock, for people. */
export function secondsSince(clock: Clock, since: number): string {
  return `${((clock.monotonic() - since) / 1000).toFixed(1)} s`;
}
