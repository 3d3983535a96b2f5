import { setImmediate as quiet } from "node:timers/promises";
import type { Hook, PortCall } from "./calls.ts";

/** A call that stands before its effect. */
export interface WaitingCall {
  readonly process: string;
  readonly call: PortCall;
}

interface Held extends WaitingCall {
  /** Lets it go on; with an error, its effect stands and its answer is lost. */
  release(lost: Error | undefined): void;
}

/**
 * Holds every call of every process until the test lets it go on: a whole run becomes a sequence of choices, which can be
 * searched, drawn by lot or replayed. A process that is killed makes no step any more: killed before each of its calls in
 * turn, it has died after every step of its protocol.
 */
export class CallScheduler {
  readonly #dead = new Set<string>();
  #held: Held[] = [];

  /** What a process's twins are made with. */
  hook(process: string): Hook {
    // By call: two may be under way whose answers differ in what becomes of them.
    const lost = new Map<PortCall, Error>();
    return {
      before: (call) =>
        new Promise<void>((resolve) => {
          if (this.#dead.has(process)) return;
          const release = (error: Error | undefined): void => {
            if (error !== undefined) lost.set(call, error);
            resolve();
          };
          this.#held.push({ process, call, release });
        }),
      after: (call) => {
        const error = lost.get(call);
        if (error === undefined) return undefined;
        lost.delete(call);
        return Promise.reject(error);
      },
    };
  }

  /** In the order in which they came. */
  get waiting(): readonly WaitingCall[] {
    return this.#held;
  }

  /**
   * Lets one of the waiting calls go on, and resolves when all has come to rest again.
   * @param index in `waiting`
   * @param lost its effect stands, and this is thrown in place of its answer
   * @throws RangeError when there is no such call
   */
  async go(index = 0, lost?: Error): Promise<void> {
    const [held] = this.#held.splice(index, 1);
    if (held === undefined) throw new RangeError(`no call ${index} waits`);
    held.release(lost);
    await this.rest();
  }

  /** Lets calls go on, the first first, until none waits. @throws Error after `most` of them */
  async goOn(most = 10_000): Promise<void> {
    await this.rest();
    for (let gone = 0; this.#held.length > 0; gone++) {
      if (gone === most) throw new Error(`${most} calls have gone on, and ${this.#held.length} wait`);
      await this.go();
    }
  }

  /** The process makes no step any more: its waiting calls have never been made. */
  kill(process: string): void {
    this.#dead.add(process);
    this.#held = this.#held.filter((held) => held.process !== process);
  }

  /** Resolves when nothing can go on but what waits here. (Nothing in memory takes longer than promises do.) */
  async rest(): Promise<void> {
    await quiet();
  }
}
