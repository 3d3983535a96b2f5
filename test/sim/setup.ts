import type { MemoryStore } from "../../testing/memory-store.ts";

export interface SimJob {
  readonly id: string;
  readonly queueKey?: string;
  readonly executionKey?: string;
}

/** How many of each fault may happen in one execution. */
export interface Budget {
  readonly crashes?: number;
  readonly losses?: number;
  readonly failures?: number;
  readonly cancels?: number;
  /** A job's first message a second time, as when a publish was confirmed and its publisher died. */
  readonly copies?: number;
  /** Jumps to the next moment at which something falls due or lapses, while there is other work to do. */
  readonly jumps?: number;
}

export interface Setup {
  readonly jobs: readonly SimJob[];
  readonly tasks: number;
  /** Runs at once in one task. */
  readonly slots?: number;
  /** The jobs are in their queue already: how they got there is not looked at. @default false */
  readonly queued?: boolean;
  readonly budget?: Budget;
  /** Breaks a port: what the search must then find shows that it looks. */
  sabotage?(store: MemoryStore): MemoryStore;
  /** The job whose handler kills its process, each time. */
  readonly killer?: string;
  /** The work must come to its end without any time passing: no wake-up is lost. @default false */
  readonly timeless?: boolean;
}
