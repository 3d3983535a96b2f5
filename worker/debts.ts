import type { Clock } from "../core/contract/clock.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { Emit } from "./events.ts";

/** What must still be written although its run has ended: give a key back, say. Safe to repeat. */
export type Debt = () => Promise<void>;

const PAUSE_MS = 1_000;

/**
 * What the table would not take when it was due. A run that can't give its keys back has not left them: as long as this
 * process lives, peers take its keys for held, so it keeps trying. When the process dies, its death frees them.
 */
export class Debts implements Service {
  readonly #ticker: Ticker;
  readonly #clock: Clock;
  #debts: { readonly debt: Debt; readonly from: number }[] = [];

  constructor(emit: Emit, clock: Clock) {
    this.#clock = clock;
    this.#ticker = new Ticker({
      pauseMs: PAUSE_MS,
      round: () => this.pay(),
      onError: (error) => emit({ type: "trouble", doing: "giving back the keys of ended runs", error }),
    });
  }

  get none(): boolean {
    return this.#debts.length === 0;
  }

  /** When something is to be paid next, monotonic; `undefined` when nothing is owed. */
  get nextAt(): number | undefined {
    return this.none ? undefined : Math.min(...this.#debts.map(({ from }) => from));
  }

  /** @param inMs to be paid no sooner */
  owe(debt: Debt, inMs = 0): void {
    this.#debts.push({ debt, from: this.#clock.monotonic() + inMs });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  /** Tries each that is due, once. @throws what the first that failed again threw; the rest was tried, too */
  async pay(): Promise<void> {
    const now = this.#clock.monotonic();
    const due = this.#debts.filter(({ from }) => from <= now);
    this.#debts = this.#debts.filter(({ from }) => from > now);
    const results = await Promise.allSettled(due.map(({ debt }) => debt()));
    this.#debts.push(...due.filter((_, i) => results[i]?.status === "rejected"));
    const failed = results.find(({ status }) => status === "rejected");
    if (failed !== undefined) throw (failed as PromiseRejectedResult).reason;
  }
}
