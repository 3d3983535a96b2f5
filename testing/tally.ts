import type { Hooks } from "../core/job/hooks.ts";
import type { ParkedReason } from "../core/job/parked.ts";
import type { WorkerEvent } from "../worker/events.ts";

/** What became of the runs of a drain, by number. A job that is retried counts once for each of its attempts. */
export interface Outcomes {
  readonly done: number;
  /** Failed, and parked for the next attempt. */
  readonly retried: number;
  readonly snoozed: number;
  /** Parked until their execution key is free, or another suspect has ended. */
  readonly waiting: number;
  /** Parked because `jobs` lacks their name. */
  readonly unknownName: number;
  readonly buried: number;
  readonly cancelled: number;
  /** Aborted, and back in their queue. */
  readonly handedBack: number;
  /** Copies of what had ended already. */
  readonly dropped: number;
}

const NONE: Outcomes = { done: 0, retried: 0, snoozed: 0, waiting: 0, unknownName: 0, buried: 0, cancelled: 0, handedBack: 0, dropped: 0 };

const PARKED: Partial<Record<ParkedReason, keyof Outcomes>> = {
  snoozed: "snoozed",
  waiting: "waiting",
  suspect: "waiting",
  unknown_name: "unknownName",
};

const RECORDED: Partial<Record<WorkerEvent["type"], keyof Outcomes>> = {
  job_retried: "retried",
  job_buried: "buried",
  job_cancelled: "cancelled",
  job_handed_back: "handedBack",
};

/** Counts outcomes by what the pipeline tells: its events, and a hook for the end that is no event. */
export class Tally {
  readonly hooks: Hooks = { afterRun: ({ id }) => this.#count(id, "done") };
  #counts = { ...NONE };
  readonly #told = new Set<string>();

  heard(event: WorkerEvent): void {
    const outcome = event.type === "job_parked" ? PARKED[event.reason] : RECORDED[event.type];
    if (outcome !== undefined && "job" in event) this.#count(event.job.id, outcome);
  }

  /** A run has ended, and all that it tells was told. */
  ended(job: string | undefined): void {
    // An unreadable message has no job that it could be told by: its burial was counted.
    if (job !== undefined && !this.#told.delete(job)) this.#counts = { ...this.#counts, dropped: this.#counts.dropped + 1 };
  }

  /** @returns the counts so far; they begin anew */
  take(): Outcomes {
    const counts = this.#counts;
    this.#counts = { ...NONE };
    return counts;
  }

  #count(job: string, outcome: keyof Outcomes): void {
    this.#told.add(job);
    this.#counts = { ...this.#counts, [outcome]: this.#counts[outcome] + 1 };
  }
}
