import type { Clock } from "../core/contract/clock.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { Registry } from "../core/job/registry.ts";
import type { Emit } from "./events.ts";
import { refOf } from "./record.ts";
import type { Run } from "./run.ts";

export interface StuckRunsOptions {
  readonly registry: Registry;
  readonly clock: Clock;
  readonly emit: Emit;
  /** What a handler gets to settle in after its abort. */
  readonly graceMs: number;
  /** The runs under way in this task. */
  running(): Iterable<Run>;
}

const LOOK_MS = 1_000;

/**
 * Reports handlers that ignore their abort, whatever it was for: such a run honestly keeps its slot, its share and its
 * keys until it settles, so somebody must know. A thread is killed after the grace; it has the grace once more to die in.
 *
 * Looks at all runs once a second: so a job that is never aborted costs nothing.
 */
export class StuckRuns implements Service {
  readonly #options: StuckRunsOptions;
  readonly #ticker: Ticker;
  /** When an aborted run was first seen, on the monotonic clock. */
  #since = new Map<Run, number>();

  constructor(options: StuckRunsOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: Math.min(LOOK_MS, options.graceMs),
      round: async () => this.look(),
      onError: (error) => options.emit({ type: "trouble", doing: "looking for jobs that ignore their abort", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  look(): void {
    const { clock, running } = this.#options;
    const now = clock.monotonic();
    const before = this.#since;
    this.#since = new Map();
    for (const run of running()) {
      if (run.aborted === undefined || !run.performing || run.stuckSince !== undefined) continue;
      const since = before.get(run) ?? now;
      if (now - since >= this.#graceOf(run)) this.#report(run);
      else this.#since.set(run, since);
    }
  }

  #graceOf({ envelope }: Run): number {
    const { registry, graceMs } = this.#options;
    const isolation = envelope === undefined ? undefined : registry.get(envelope.name)?.isolation;
    return isolation === "thread" ? 2 * graceMs : graceMs;
  }

  #report(run: Run): void {
    run.stuckSince = this.#options.clock.now();
    if (run.envelope !== undefined && run.aborted !== undefined) {
      this.#options.emit({ type: "job_stuck", job: refOf(run.envelope), why: run.aborted });
    }
  }
}
