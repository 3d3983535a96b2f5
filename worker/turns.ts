import type { Clock } from "../core/contract/clock.ts";

/** Something that has jobs to start, one at a time. */
export interface TurnTaker {
  /** Starts one job. @returns `false` when nothing of it can start now; it then offers itself again when that changes */
  startOne(): boolean;
}

export interface TurnsOptions {
  /** Jobs that run at once in this process. */
  readonly slots: number;
  readonly clock: Clock;
  /** Whether the lease allows a new job at this moment. */
  mayStart(): boolean;
}

/**
 * The process-wide slots, and whose turn it is: partitions take turns, one job each, so that a tenant with a thousand
 * waiting jobs delays another by no more than one turn. (A partition's own queues take turns inside it.)
 */
export class Turns {
  readonly #options: TurnsOptions;
  readonly #line: TurnTaker[] = [];
  readonly #inLine = new Set<TurnTaker>();
  readonly #idleWaiters: (() => void)[] = [];
  #busy = 0;
  /** Monotonic; `undefined` while a slot is free. */
  #fullSince: number | undefined;
  #freeSince = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  get busy(): number {
    return this.#busy;
  }

  get free(): number {
    return this.#options.slots - this.#busy;
  }

  /** For how long every slot has been taken, in ms; 0 while one is free. */
  get fullForMs(): number {
    return this.#fullSince === undefined ? 0 : this.#options.clock.monotonic() - this.#fullSince;
  }

  /** For how long a slot has been free, in ms; 0 while all are taken. */
  get freeForMs(): number {
    return this.#fullSince === undefined ? this.#options.clock.monotonic() - this.#freeSince : 0;
  }

  /** Gets into line, unless it stands there already. */
  offer(taker: TurnTaker): void {
    if (!this.#inLine.has(taker)) {
      this.#inLine.add(taker);
      this.#line.push(taker);
    }
    this.go();
  }

  /** A job of this one has ended: its slot goes to the next in line, and it gets into line behind them. */
  release(taker: TurnTaker): void {
    this.#busy -= 1;
    this.offer(taker);
    if (this.#busy > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Resolves once nothing runs. */
  async idle(): Promise<void> {
    if (this.#busy > 0) await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
  }

  /** Starts what can start. Called by itself; from outside only when `mayStart` has changed. */
  go(): void {
    while (this.#busy < this.#options.slots && this.#line.length > 0 && this.#options.mayStart()) {
      const taker = this.#line.shift() as TurnTaker;
      this.#busy += 1;
      if (taker.startOne()) {
        this.#line.push(taker);
      } else {
        this.#busy -= 1;
        this.#inLine.delete(taker);
      }
    }
    this.#note();
  }

  #note(): void {
    const full = this.#busy >= this.#options.slots;
    if (full === (this.#fullSince !== undefined)) return;
    const now = this.#options.clock.monotonic();
    this.#fullSince = full ? now : undefined;
    this.#freeSince = now;
  }
}
