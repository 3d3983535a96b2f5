import type { Clock } from "../core/contract/clock.ts";
import type { Envelope } from "../core/job/envelope.ts";
import { lifeOf } from "../core/job/life.ts";
import { ExecutionKeys } from "../core/keys/execution-key.ts";
import { QueueKeys } from "../core/keys/queue-key.ts";
import type { StorePorts } from "./deps.ts";
import { KnownRuns } from "./known-runs.ts";

export interface ReleaseDeps {
  readonly store: Pick<StorePorts, "parked" | "queueKeys" | "executionKeys" | "tasks">;
  readonly clock: Clock;
}

/** What a Lambda has of the key protocols: it may give up what a job has, never take anything. */
export interface KeyRelease {
  /**
   * Frees the keys of a job that will not run: its queue key; its place in the line for its execution key, with what was
   * reserved for it. May be repeated; a job without keys costs nothing.
   * @returns `false` when a run of this job may be alive: that run, or a worker, sees to it
   * @throws StoreUnavailable
   */
  release(job: Envelope): Promise<boolean>;
}

export function keyRelease({ store, clock }: ReleaseDeps): KeyRelease {
  const runs = new KnownRuns(store.tasks, clock);
  const queueKeys = new QueueKeys(store.queueKeys, runs, clock);
  const executionKeys = new ExecutionKeys(store.executionKeys, store.parked, runs, clock);
  return {
    async release(job) {
      const { partition, attempt, queue_key, execution_key } = job;
      if (queue_key !== undefined && !(await queueKeys.release({ partition, key: queue_key }, lifeOf(job), attempt))) return false;
      if (execution_key !== undefined) await executionKeys.forsake({ partition, key: execution_key }, lifeOf(job));
      return true;
    },
  };
}
