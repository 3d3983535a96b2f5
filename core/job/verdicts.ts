/** Thrown by a handler: this job will never succeed. It is buried at once, with the reason, whatever retries are left. */
export class Discard extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = "Discard";
  }
}

/** Thrown by a handler: not now. The job runs again after `seconds`, ten years at most; no attempt is charged. */
export class Snooze extends Error {
  readonly seconds: number;

  constructor(seconds: number) {
    super(`snoozed for ${seconds} s`);
    this.name = "Snooze";
    this.seconds = checkSeconds(seconds);
  }
}

/** Thrown by a handler: this attempt failed, and the other side said when to come back. Takes the place of the retry's own delay. */
export class RetryAfter extends Error {
  readonly seconds: number;

  constructor(seconds: number, message = `retry after ${seconds} s`, options?: ErrorOptions) {
    super(message, options);
    this.name = "RetryAfter";
    this.seconds = checkSeconds(seconds);
  }
}

function checkSeconds(seconds: number): number {
  if (Number.isFinite(seconds) && seconds >= 0) return seconds;
  throw new RangeError(`seconds must be a number from 0, not ${seconds}`);
}

/**
 * An application's jobs may come with a copy of the package of their own: `instanceof` knows these by a mark that all copies
 * share. A class that extends one of them is told by its prototype, as ever.
 */
function knowByMark(Class: typeof Discard | typeof Snooze | typeof RetryAfter, mark: symbol): void {
  Object.defineProperty(Class.prototype, mark, { value: true });
  Object.defineProperty(Class, Symbol.hasInstance, {
    value(this: unknown, error: unknown): boolean {
      if (this !== Class) return Function.prototype[Symbol.hasInstance].call(this, error);
      try {
        return typeof error === "object" && error !== null && mark in error;
      } catch {
        // A proxy may throw when it is looked at. That is no verdict, and no reason to run its job again for ever.
        return false;
      }
    },
  });
}

knowByMark(Discard, Symbol.for("roger.discard"));
knowByMark(Snooze, Symbol.for("roger.snooze"));
knowByMark(RetryAfter, Symbol.for("roger.retry-after"));
