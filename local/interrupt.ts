import type { Clock } from "../core/contract/clock.ts";

/** One Ctrl-C may reach us twice: from the terminal, and forwarded by npm or the bootstrap. Within this time it is one. */
const ONE_WISH_MS = 1_000;

export interface Interruption {
  /** Aborts with the first wish to end. */
  readonly signal: AbortSignal;
  /** Back to how signals were before. */
  release(): void;
}

/**
 * Ctrl-C (SIGINT), SIGTERM and SIGHUP as a wish to end in order; a second one is a wish to end at once.
 * @param onSecond must not return to what was going on
 */
export function watchInterrupts(clock: Clock, { onFirst, onSecond }: { readonly onFirst: () => void; readonly onSecond: () => void }): Interruption {
  const controller = new AbortController();
  let firstAt: number | undefined;
  const heard = (signal: NodeJS.Signals): void => {
    if (firstAt === undefined) {
      firstAt = clock.monotonic();
      onFirst();
      controller.abort(new Interrupted(signal));
    } else if (clock.monotonic() - firstAt > ONE_WISH_MS) {
      onSecond();
    }
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, heard);
  return {
    signal: controller.signal,
    release() {
      for (const signal of signals) process.off(signal, heard);
    },
  };
}

/** Somebody asked us to end. */
export class Interrupted extends Error {
  constructor(signal: NodeJS.Signals) {
    super(`interrupted by ${signal}`);
    this.name = "Interrupted";
  }
}
