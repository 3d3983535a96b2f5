import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";

/** How long the event loop stood still at most, in the last one to two minutes. */
export class LoopLag implements Service {
  readonly #histogram = monitorEventLoopDelay({ resolution: 500 });
  readonly #ticker: Ticker;
  #before = 0;

  constructor() {
    this.#ticker = new Ticker({
      pauseMs: 60_000,
      round: async () => {
        this.#before = this.#max();
        this.#histogram.reset();
      },
      onError: () => undefined,
    });
  }

  get maxMs(): number {
    return Math.max(this.#before, this.#max());
  }

  async start(): Promise<void> {
    this.#histogram.enable();
    await this.#ticker.start();
  }

  async stop(): Promise<void> {
    this.#histogram.disable();
    await this.#ticker.stop();
  }

  #max(): number {
    return this.#histogram.max / 1e6;
  }
}
