import type { JobLife } from "../job/life.ts";

/** Which run asks for a key. A key belongs to a run, not to a job: two runs of one job are strangers to each other. */
export interface RunIdentity extends JobLife {
  /** Unique for ever: the task's boot id and a counter. */
  readonly run: string;
  /** The task that runs it: its boot id. */
  readonly task: string;
  /** The queue of its job, for a key to tell people. */
  readonly queue?: string;
}

/** The identity of a run for keys, parked items and reports. @param number unique in that process */
export function runId(boot: string, { number }: { readonly number: number }): string {
  return `${boot}/${number}`;
}

/** The task that a run of this identity is in. */
export function taskOfRun(run: string): string {
  return run.slice(0, run.lastIndexOf("/"));
}

/** What is known of the runs that hold keys. */
export interface Runs {
  /**
   * Whether that run has ended for certain: its task was declared dead long enough ago or has given up its lease, or it is
   * this very task, which does not know the run (its claim landed after its answer was lost). `false` when in doubt.
   * @throws StoreUnavailable
   */
  ended(holder: { readonly run: string; readonly task: string }): Promise<boolean>;
}
