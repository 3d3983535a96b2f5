import type { Clock } from "../contract/clock.ts";
import { LIMITS } from "../contract/limits.ts";
import { isOfLife, type JobLife } from "../job/life.ts";
import type { QueueKeyRef } from "./queue-key-ref.ts";
import type { QueueKeyItem, QueueKeyStore } from "./queue-key-store.ts";
import type { RunIdentity, Runs } from "./runs.ts";

/**
 * What an attempt may do after it asked for its queue key.
 *
 * | answer | the key | the message |
 * |---|---|---|
 * | `mine` | this run holds it | the job runs |
 * | `ended` | another job's or another life's, or `done` | acked and dropped: a copy of what has ended |
 * | `gone_on` | at a later attempt | acked and dropped: a copy of what has gone on |
 * | `held` | another run of this job holds it and may be alive | comes again later |
 */
export type KeyAnswer = "mine" | "ended" | "gone_on" | "held";

/** A claim that was refused is looked into and tried again; each round means that another writer got on. */
const ROUNDS = 5;

/**
 * The queue key of an attempt: at most one job per key and partition between its enqueueing and its terminal end, and
 * at most one run of that job.
 *
 * ```
 *  publishing ─▶ queued ◀─────────────── giveBack (handed back, retry, waits) ──┐
 *      │            │                                                           │
 *      └────────────┴──▶ begin: running (run) ──┬───────────────────────────────┘
 *      ▲                    ▲        │          └──▶ finish: done ─ 1 h ─▶ forgotten
 *   claim                   └────────┘ by another run, once this one has ended
 * ```
 *
 * Whatever a run writes is conditional on `run` being its own: a run that was given up for dead writes nothing more.
 *
 * Two runs may have the same message, if the connection of the first was lost. Where the end of their job is forgotten already
 * (it is a late copy), the first could still take the key after the second has dropped the message, and give it back to nobody:
 * so whoever drops a copy and finds no key bars it, for as long as an end is remembered. To every run: others of the key may have
 * been dropped and cut off, too, and what is no copy has had the key since it was enqueued. Who enqueues anew takes it.
 *
 * | the process dies after | then |
 * |---|---|
 * | begin | the message comes again; the run's task is declared dead; the next run takes the key over |
 * | the next attempt is parked, key not given back | that attempt finds a dead run on the key and takes it over |
 * | finish, not acked | the message comes again, finds `done`, is dropped |
 * | a copy of what is forgotten bars the key, not acked | the same; a new job may claim the key |
 */
export class QueueKeys {
  readonly #store: QueueKeyStore;
  readonly #runs: Runs;
  readonly #clock: Clock;

  constructor(store: QueueKeyStore, runs: Runs, clock: Clock) {
    this.#store = store;
    this.#runs = runs;
    this.#clock = clock;
  }

  /** An attempt starts. @throws StoreUnavailable, as all of this class */
  async begin(ref: QueueKeyRef, me: RunIdentity, attempt: number): Promise<KeyAnswer> {
    let instead: string | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const answer = await this.#store.begin(ref, me, attempt, this.#clock.now(), instead);
      if (answer.began) return "mine";
      const { found } = answer;
      if (found === undefined) continue;
      if (!isOf(found, me) || found.state === "done") return "ended";
      if (found.attempt > attempt) return "gone_on";
      const holder = holderOf(found);
      if (holder !== undefined && !(await this.#runs.ended(holder))) return "held";
      instead = holder?.run;
    }
    return "held";
  }

  /** The attempt ended, the job goes on: it is queued or parked, at `attempt`. */
  async giveBack(ref: QueueKeyRef, me: RunIdentity, attempt: number): Promise<void> {
    await this.#store.giveBack(ref, me.run, attempt);
  }

  /** The job has come to its end. */
  async finish(ref: QueueKeyRef, me: RunIdentity): Promise<void> {
    await this.#store.finish(ref, me.run, this.#remembered());
  }

  /**
   * The job has come to its end without a run of its own: cancelled, purged, or buried before it ran.
   * A key that is at a later attempt is left alone: this copy has no part in that.
   * @returns `false` when a run holds the key that may be alive: that run sees to it
   */
  async release(ref: QueueKeyRef, life: JobLife, attempt: number): Promise<boolean> {
    let instead: string | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      if (await this.#store.release(ref, life, attempt, this.#remembered(), instead)) return true;
      const found = await this.#store.get(ref);
      if (found === undefined) {
        if (await this.#store.bar(ref, life, { attempt, now: this.#clock.now(), until: this.#remembered() })) return true;
        continue;
      }
      if (!isOf(found, life) || found.state === "done" || found.attempt > attempt) return true;
      const holder = holderOf(found);
      if (holder !== undefined && !(await this.#runs.ended(holder))) return false;
      instead = holder?.run;
    }
    return false;
  }

  #remembered(): number {
    return this.#clock.now() + LIMITS.doneKeyMs;
  }
}

function isOf(found: QueueKeyItem, life: JobLife): boolean {
  return found.jobId === life.job && isOfLife(found, life);
}

function holderOf({ run, task }: QueueKeyItem): { run: string; task: string } | undefined {
  return run === undefined || task === undefined ? undefined : { run, task };
}
