import type { RunIdentity, Runs } from "../core/keys/runs.ts";

/** What the roster tells of tasks. */
export interface TaskView {
  /** Dead tasks whose things may be taken now. */
  takeable(): readonly string[];
  /** Whether a lease of this task was there at the last look, alive or dead. */
  knows(boot: string): boolean;
  /** The tasks that have a lease right now, read for this question alone. */
  present(): Promise<ReadonlySet<string>>;
}

/** The runs of this task that hold keys, or may: by them and by the roster it is judged whether a key's holder has ended. */
export class KnownRuns implements Runs {
  readonly #boot: string;
  readonly #tasks: TaskView;
  readonly #runs = new Set<string>();

  constructor(boot: string, tasks: TaskView) {
    this.#boot = boot;
    this.#tasks = tasks;
  }

  /** Before the run asks for its first key. */
  add({ run }: RunIdentity): void {
    this.#runs.add(run);
  }

  /** Once the run holds none any more for certain. */
  delete({ run }: RunIdentity): void {
    this.#runs.delete(run);
  }

  async ended({ run, task }: { readonly run: string; readonly task: string }): Promise<boolean> {
    if (task === this.#boot) return !this.#runs.has(run);
    if (this.#tasks.takeable().includes(task)) return true;
    if (this.#tasks.knows(task)) return false;
    // No lease seen: it gave it up in order (and its keys with it), or has only just come. Only the table knows.
    return !(await this.#tasks.present()).has(task);
  }
}
