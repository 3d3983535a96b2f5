import type { Clock } from "../core/contract/clock.ts";
import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import type { Runs } from "../core/keys/runs.ts";
import type { TaskStore } from "../core/partition/task-store.ts";

/** On top of `takeover`: `deadAt` was written by another machine's clock. A process is gone before it is declared dead. */
const CLOCK_SKEW_MS = 3_000;

/**
 * What a Lambda knows of the runs that hold keys: nothing but the leases of their tasks, read anew for each question.
 *
 * | the task's lease | its runs |
 * |---|---|
 * | alive, or dead for less than 5 s | in doubt: not ended |
 * | dead for longer | ended |
 * | none, by a strongly consistent read | ended: a task has a lease before it holds anything, and one that goes in order has given all back |
 */
export class KnownRuns implements Runs {
  readonly #tasks: Pick<TaskStore, "leases">;
  readonly #clock: Clock;

  constructor(tasks: Pick<TaskStore, "leases">, clock: Clock) {
    this.#tasks = tasks;
    this.#clock = clock;
  }

  async ended({ task }: { readonly run: string; readonly task: string }): Promise<boolean> {
    const lease = (await this.#tasks.leases()).find(({ boot }) => boot === task);
    if (lease === undefined) return true;
    if (!lease.dead || lease.deadAt === undefined) return false;
    return this.#clock.now() - lease.deadAt > DEFAULT_TIMINGS.takeover + CLOCK_SKEW_MS;
  }
}
