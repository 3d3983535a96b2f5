import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { Emit } from "./events.ts";
import type { Roster } from "./roster.ts";
import type { Turns } from "./turns.ts";
import type { Workforce } from "./workforce.ts";

export interface SheddingOptions {
  readonly pool: string;
  readonly turns: Turns;
  readonly roster: Roster;
  readonly workforce: Workforce;
  readonly emit: Emit;
  /** Slots full, or free again, for this long. */
  readonly afterMs: number;
}

/**
 * Nothing is hoarded: a task whose slots stay full lets go the queues that run nothing here, so that a task with room
 * may serve them, and takes them up again once a slot has stayed free. While no other task has room, it keeps them:
 * their jobs take turns with the rest.
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
    const { pool, turns, roster, workforce, afterMs } = this.#options;
    if (turns.fullForMs >= afterMs && roster.othersHaveRoom(pool)) {
      this.#shed = true;
      workforce.shedIdleQueues();
    } else if (this.#shed && (turns.freeForMs >= afterMs || !roster.othersHaveRoom(pool))) {
      this.#shed = false;
      workforce.unshed();
    }
  }
}
