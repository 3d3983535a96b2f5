import type { Service } from "./service.ts";

/**
 * Does something again and again, never twice at once: the pause is counted from the end of one round to the begin
 * of the next. A round that throws is reported and does not end the rounds.
 */
export class Ticker implements Service {
  readonly #round: () => Promise<void>;
  readonly #pauseMs: number;
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #wantedSoon = false;
  #stopped = true;

  constructor(options: { readonly pauseMs: number; readonly round: () => Promise<void>; readonly onError: (error: unknown) => void }) {
    this.#pauseMs = options.pauseMs;
    this.#round = options.round;
    this.#onError = options.onError;
  }

  /** Does not wait for the first round. */
  async start(): Promise<void> {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#begin();
  }

  /** Asks for a round now; while one runs, for another right after it. */
  soon(): void {
    if (this.#stopped) return;
    if (this.#running === undefined) this.#begin();
    else this.#wantedSoon = true;
  }

  /** Resolves once the round under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#running = this.#round()
      .catch(this.#onError)
      .then(() => {
        this.#running = undefined;
        if (this.#stopped) return;
        const pauseMs = this.#wantedSoon ? 0 : this.#pauseMs;
        this.#wantedSoon = false;
        this.#timer = setTimeout(() => this.#begin(), pauseMs);
      });
  }
}
