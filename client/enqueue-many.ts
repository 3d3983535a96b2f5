import { describeError, RogerError } from "../core/contract/errors.ts";
import type { Enqueued } from "./enqueuer.ts";

/** What became of one job of many; `index` counts the jobs as they came, from 0. */
export type ItemResult = ({ readonly index: number } & Enqueued) | { readonly index: number; readonly error: unknown };

export interface ManyOptions {
  /** Jobs on their way at once, from 1 to 1,000; no more than these are ever in memory. @default 200 */
  readonly window?: number;
  /** Called once for each job, in the order in which they end. Without it the first job that is refused ends the whole. */
  readonly onResult?: (result: ItemResult) => void;
  /** Ends the whole: no further job is taken; those on their way come to their end first. */
  readonly signal?: AbortSignal;
}

export interface ManyEnqueued {
  readonly enqueued: number;
  /** Only with `onResult`. */
  readonly refused: number;
}

/** One job of many was refused, and nobody listens to single results. */
export class ManyStopped extends RogerError {
  /** Which job, counted from 0. Those before it were enqueued, and up to a window of those after it. */
  readonly index: number;
  /** Jobs enqueued in all. */
  readonly enqueued: number;

  constructor(index: number, enqueued: number, cause: unknown) {
    super("many_stopped", `job ${index} was refused: ${describeError(cause).message}`, { cause });
    this.name = "ManyStopped";
    this.index = index;
    this.enqueued = enqueued;
  }
}

type Source<Item> = Iterator<Item> | AsyncIterator<Item>;

/**
 * Takes items one after the other and enqueues up to a window of them at once. The source is asked for an item only when
 * there is room for it, so a source of any length is held back by RabbitMQ, and never piles up here.
 */
export class ManyRun<Item> {
  readonly #enqueue: (item: Item) => Promise<Enqueued>;
  readonly #options: ManyOptions;
  readonly #window: number;
  #underWay = 0;
  #enqueued = 0;
  #refused = 0;
  #failure: { readonly error: unknown } | undefined;
  /** Wakes the loop: there is room, or it must end. */
  #wake: (() => void) | undefined;

  constructor(enqueue: (item: Item) => Promise<Enqueued>, options: ManyOptions & { readonly window: number }) {
    this.#enqueue = enqueue;
    this.#options = options;
    this.#window = options.window;
  }

  /** @throws ManyStopped; the source's own error; `signal`'s reason; what `onResult` throws */
  async run(items: Iterable<Item> | AsyncIterable<Item>): Promise<ManyEnqueued> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#stop(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      await this.#take(items);
    } catch (error) {
      this.#stop(error);
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
    while (this.#underWay > 0) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
    return { enqueued: this.#enqueued, refused: this.#refused };
  }

  async #take(items: Iterable<Item> | AsyncIterable<Item>): Promise<void> {
    const source: Source<Item> = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]();
    let ended = false;
    try {
      for (let index = 0; ; index++) {
        while (this.#underWay >= this.#window && this.#failure === undefined) await this.#change();
        if (this.#failure !== undefined) return;
        const next = source.next();
        // A source that answers at once costs no promise.
        const step = next instanceof Promise ? await next : next;
        if (step.done === true) {
          ended = true;
          return;
        }
        if (this.#failure !== undefined) return;
        void this.#one(index, step.value);
      }
    } finally {
      // A source that was not read to its end may hold a file or a cursor.
      if (!ended) await source.return?.();
    }
  }

  async #one(index: number, item: Item): Promise<void> {
    this.#underWay += 1;
    let result: ItemResult;
    try {
      result = { index, ...(await this.#enqueue(item)) };
      this.#enqueued += 1;
    } catch (error) {
      result = { index, error };
      this.#refused += 1;
    }
    this.#underWay -= 1;
    try {
      this.#tell(result);
    } catch (error) {
      this.#stop(error);
    }
    this.#wake?.();
  }

  #tell(result: ItemResult): void {
    const { onResult } = this.#options;
    if (onResult !== undefined) onResult(result);
    else if ("error" in result) this.#stop(new ManyStopped(result.index, this.#enqueued, result.error));
  }

  #stop(error: unknown): void {
    this.#failure ??= { error };
    this.#wake?.();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }
}
