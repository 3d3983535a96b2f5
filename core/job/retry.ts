import { RetryAfter } from "./verdicts.ts";

/** Roger's levels, in seconds: twelve retries over about an hour. (roger 3.2.1, retry.ex) */
export const ROGER_LEVELS = [1, 3, 5, 10, 20, 35, 60, 100, 200, 400, 1000, 1800] as const;

/** How long a job waits of which nobody can tell for how long: it must not spin. */
export const LONGEST_LEVEL_MS = Math.max(...ROGER_LEVELS) * 1000;

export type RetryOption =
  | boolean
  | {
      /** Seconds to wait before the second, third, … attempt. */
      readonly levels: readonly number[];
      /** Each wait is moved by up to this share of it, up or down. @default 0 */
      readonly jitter?: number;
    }
  | {
      /** Retries at most. */
      readonly max: number;
      /** Seconds to wait after the failed `attempt` (1 for the first). */
      readonly delay: (attempt: number, error: unknown) => number;
    };

/** How a definition retries, made total: how long to wait after a failed attempt, or `undefined` for never again. */
export type RetryPolicy = (attempt: number, error: unknown, random: () => number) => number | undefined;

/** @throws TypeError when the option makes no sense; seconds in, milliseconds out */
export function retryPolicy(option: RetryOption): RetryPolicy {
  if (option === false) return () => undefined;
  if (option === true) return levelsPolicy(ROGER_LEVELS, 0);
  if (typeof option !== "object" || option === null || !("levels" in option || "max" in option))
    throw new TypeError("retry: true, false, { levels, jitter? } or { max, delay }");
  if ("levels" in option) {
    const { levels, jitter = 0, ...others } = option;
    refuseOthers(others);
    if (!Array.isArray(levels) || !levels.every((s) => Number.isFinite(s) && s >= 0))
      throw new TypeError(`retry.levels: a list of seconds from 0, such as [1, 5, 30], not ${JSON.stringify(levels)}`);
    if (!(typeof jitter === "number" && jitter >= 0 && jitter <= 1)) throw new TypeError("retry.jitter: a number from 0 to 1");
    return levelsPolicy(levels, jitter);
  }
  const { max, delay, ...others } = option;
  refuseOthers(others);
  if (!Number.isSafeInteger(max) || max < 0) throw new TypeError("retry.max: a whole number from 0");
  if (typeof delay !== "function") throw new TypeError("retry.delay: a function of the attempt and the error");
  return (attempt, error) => (attempt > max ? undefined : (asked(error) ?? milliseconds(delay(attempt, error))));
}

function refuseOthers(others: object): void {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new TypeError(`retry.${unknown}: there is no such option here`);
}

function levelsPolicy(levels: readonly number[], jitter: number): RetryPolicy {
  return (attempt, error, random) => {
    const level = levels[attempt - 1];
    if (level === undefined) return undefined;
    return asked(error) ?? milliseconds(level * (1 + jitter * (2 * random() - 1)));
  };
}

function asked(error: unknown): number | undefined {
  return error instanceof RetryAfter ? milliseconds(error.seconds) : undefined;
}

/** A user's delay function, or another copy's verdict, may say nonsense. */
export function milliseconds(seconds: number): number {
  return Number.isFinite(seconds) && seconds >= 0 ? Math.round(seconds * 1000) : LONGEST_LEVEL_MS;
}
