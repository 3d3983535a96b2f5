/**
 * Applies an async function to every item, with at most `width` of them under way at once.
 * The first error is thrown after those under way have ended; items not begun by then are left out.
 */
export async function forEachWithin<Item>(width: number, items: Iterable<Item>, work: (item: Item) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  const errors: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (let next = queue.next(); !next.done && errors.length === 0; next = queue.next()) {
      try {
        await work(next.value);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  if (errors.length > 0) throw errors[0];
}

/** Lets at most `width` calls be under way at once, whoever makes them; the others wait in the order in which they came. */
export class Window {
  readonly #width: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(width: number) {
    this.#width = width;
  }

  async run<Result>(call: () => Promise<Result>): Promise<Result> {
    await this.enter();
    try {
      return await call();
    } finally {
      this.leave();
    }
  }

  /** Takes a place, to be given up by `leave`. @returns `undefined` when there is one at once, which costs no promise */
  enter(): Promise<void> | undefined {
    if (this.#busy >= this.#width) return new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy += 1;
    return undefined;
  }

  leave(): void {
    // The place goes straight to the next in line, so nobody who comes meanwhile can take it.
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy -= 1;
    else next();
  }
}
