import type { Clock } from "../core/contract/clock.ts";

/** What progress is shown on: the printer, or a test's list. */
export interface Screen {
  isTerminal(): boolean;
  print(text: string): void;
  /** Shows a line that the next one replaces. */
  redraw(line: string): void;
}

const BAR_CELLS = 24;
/** Where a bar can't be redrawn, a line of its own is printed at most this often. */
const SPARSE_MS = 5_000;

/**
 * Lines that stay, and below them on a terminal one bar that is redrawn. Elsewhere (a pipe, CI) the bar becomes a sparse line, so
 * that logs stay readable.
 */
export class Progress {
  readonly #screen: Screen;
  readonly #clock: Clock;
  #lastSparse = Number.NEGATIVE_INFINITY;

  constructor(screen: Screen, clock: Clock) {
    this.#screen = screen;
    this.#clock = clock;
  }

  /** A line that stays. */
  line(text = ""): void {
    this.#screen.print(text);
  }

  /** Shows how far something is. */
  bar({ done, total, note }: { readonly done: number; readonly total: number; readonly note: string }): void {
    if (this.#screen.isTerminal()) {
      const cells = total === 0 ? BAR_CELLS : Math.round((done / total) * BAR_CELLS);
      this.#screen.redraw(`  ${"█".repeat(cells)}${"░".repeat(BAR_CELLS - cells)} ${done} of ${total}  ${note}`);
    } else if (this.#clock.monotonic() - this.#lastSparse >= SPARSE_MS) {
      this.#lastSparse = this.#clock.monotonic();
      this.#screen.print(`  ${done} of ${total}  ${note}`);
    }
  }
}
