import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { Emit } from "./events.ts";
import type { Turns } from "./turns.ts";
import type { Workforce } from "./workforce.ts";

export interface SheddingOptions {
  readonly turns: Turns;
  readonly workforce: Workforce;
  readonly emit: Emit;
  /** Slots full, or free again, for this long. */
  readonly afterMs: number;
  /** Whether a task with room is meant to hold a part of this queue, too. */
  servedElsewhere(partition: string, queue: string): boolean;
}

/**
 * Nothing is hoarded: a task whose slots stay full lets go the queues that run nothing here and that a task with room
 * serves, and takes them up again once a slot has stayed free. A queue that nobody else with room is meant to serve is
 * kept: its jobs take turns with the rest.
 */
export class Shedding implements Service {
  readonly #options: SheddingOptions;
  readonly #ticker: Ticker;
  #shed = false;

  constructor(options: SheddingOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: Math.max(50, options.afterMs / 4),
      round: async () => this.#look(),
      onError: (error) => options.emit({ type: "trouble", doing: "letting idle queues go", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  #look(): void {
    const { turns, workforce, afterMs, servedElsewhere } = this.#options;
    if (turns.fullForMs >= afterMs) {
      this.#shed = true;
      workforce.shedIdleQueues(servedElsewhere);
    } else if (this.#shed && turns.freeForMs >= afterMs) {
      this.#shed = false;
      workforce.unshed();
    }
  }
}
