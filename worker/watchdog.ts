import { Worker } from "node:worker_threads";
import type { Service } from "../core/contract/service.ts";

/** Ends this process when its lease is not renewed in time. */
export interface Watchdog extends Service {
  /** A renewal that was sent `ageMs` ago has succeeded. */
  renewed(ageMs: number): void;
}

/**
 * A thread that kills the process with SIGKILL once `limitMs` have passed since the last renewal. It shares nothing
 * with the main thread but eight bytes, so neither a blocked event loop nor a full heap keeps it from acting.
 */
export class ThreadWatchdog implements Watchdog {
  readonly #limitMs: number;
  /** Nanoseconds of `process.hrtime`, the one monotonic clock that threads of a process share. */
  readonly #lastGood = new BigInt64Array(new SharedArrayBuffer(8));
  #thread: Worker | undefined;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  async start(): Promise<void> {
    if (this.#thread !== undefined) return;
    const thread = new Worker(new URL("./watchdog-thread.ts", import.meta.url), {
      workerData: { lastGood: this.#lastGood, limitMs: this.#limitMs },
      // The thread needs next to nothing; a small heap keeps it out of the task's memory.
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 4 },
    });
    thread.unref();
    this.#thread = thread;
    await new Promise<void>((resolve, reject) => {
      thread.once("online", resolve);
      thread.once("error", reject);
    });
    thread.on("error", () => this.#unguarded());
    thread.on("exit", () => {
      if (this.#thread === thread) this.#unguarded();
    });
  }

  renewed(ageMs: number): void {
    Atomics.store(this.#lastGood, 0, process.hrtime.bigint() - BigInt(Math.round(ageMs * 1e6)));
  }

  async stop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }

  /** The thread died: without it nothing bounds how long this task could outlive its lease. */
  #unguarded(): void {
    process.kill(process.pid, "SIGKILL");
  }
}
