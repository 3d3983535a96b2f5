import type { Clock } from "../core/contract/clock.ts";

/** A clock that stands still until it is moved. */
export interface VirtualClock extends Clock {
  /** @param ms whole ones. @throws RangeError when they are not, or would move it back */
  advance(ms: number): void;
}

/** @param start epoch ms; the monotonic time begins at 0 */
export function virtualClock(start = 1_900_000_000_000): VirtualClock {
  let elapsed = 0;
  return {
    now: () => start + elapsed,
    monotonic: () => elapsed,
    advance: (ms) => {
      elapsed += checkedMs(ms);
    },
  };
}

/** @throws RangeError */
export function checkedMs(ms: number): number {
  if (Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new RangeError(`time goes forward by whole milliseconds, not by ${ms}`);
}
