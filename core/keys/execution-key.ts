import type { Clock } from "../contract/clock.ts";
import { LIMITS } from "../contract/limits.ts";
import type { JobLife } from "../job/life.ts";
import { type Expedited, lifeOfParked, type NewParkedJob, type ParkedRef, type ParkedStore } from "../job/parked.ts";
import type { ExecutionKeyRef, ExecutionKeyStore, Lock } from "./execution-key-store.ts";
import type { RunIdentity, Runs } from "./runs.ts";

export type Acquired = { readonly acquired: true; readonly token: number } | { readonly acquired: false; readonly lock: Lock | undefined };

/** A refused acquisition is looked into and tried again; each round means that another writer got on. */
const ROUNDS = 5;
/** Waiters looked at in one release: rows whose job has gone are cleared away, the rest is left to the next release. */
const WAKE_LIMIT = 100;

/**
 * An execution key: at most one job per key and partition runs at a time; the others wait in DynamoDB, oldest first.
 * No broker queue per key, and no job that waits expires.
 *
 * ```
 *  free ──acquire──▶ held (run, token+1) ──release──▶ free, reserved for the oldest waiter for 30 s ──▶ it acquires
 *    ▲                 │        │                                        └─ or lapses: whoever comes first
 *    └──── nobody waits┘        └── its task is dead: the next that comes takes it over
 * ```
 *
 * No wake-up is lost: a waiter first writes its parked job and its row, then looks at the lock again; a releaser first
 * frees the lock, then (if it had seen no row before) looks at the rows again. One of the two sees the other.
 * And should both die, the waiter's `due` passes.
 *
 * A waiter's row is its place in the line, and no more: the job is its parked item, which `due` brings back at the latest. Each
 * time it has to wait anew its row is renewed, at the same place. One that lapses is of a job that has not asked for 7 days:
 * it has ended and the row was left behind, or it is due or on its way (no task is there, its queue is long or paused), where
 * no row helps it on.
 *
 * | the process dies after | then |
 * |---|---|
 * | acquire | its task is declared dead; whoever asks next takes the key over, at the latest a waiter whose `due` passes |
 * | waiter: the job is parked | its message comes again, finds the parked job, is dropped; `due` passes |
 * | waiter: the row is put | the same |
 * | releaser: the lock is free | the reserved waiter's `due` passes, at the latest in 10 min; others may take the lock after 30 s |
 * | releaser: the waiter is woken | nothing is left to do but the ack: the message comes again and finds its end recorded, or runs again |
 */
export class ExecutionKeys {
  readonly #store: ExecutionKeyStore;
  readonly #parked: ParkedStore;
  readonly #runs: Runs;
  readonly #clock: Clock;
  readonly #onDue: (job: ParkedRef) => void;

  /** @param onDue told of each waiter that was brought forward just now: whoever can may bring it on its way, or leave it to the pump */
  constructor(store: ExecutionKeyStore, parked: ParkedStore, runs: Runs, clock: Clock, onDue: (job: ParkedRef) => void = () => undefined) {
    this.#store = store;
    this.#parked = parked;
    this.#runs = runs;
    this.#clock = clock;
    this.#onDue = onDue;
  }

  /** @throws StoreUnavailable, as all of this class */
  async acquire(ref: ExecutionKeyRef, me: RunIdentity): Promise<Acquired> {
    let instead: string | undefined;
    let lock: Lock | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const answer = await this.#store.acquire(ref, me, this.#clock.now(), instead);
      if (answer.acquired) {
        await this.#store.leave(ref, me);
        return answer;
      }
      lock = answer.lock;
      instead = await this.#takeable(lock);
      // Free by now, or held by the dead: worth another try. Else it is busy.
      if (instead === undefined && !this.#freeFor(lock, me.job)) return answer;
    }
    return { acquired: false, lock };
  }

  /** The key is busy: the job is parked and gets into line. Its message may be acked once this resolves. */
  async wait(ref: ExecutionKeyRef, job: NewParkedJob): Promise<void> {
    const waiter = lifeOfParked(job);
    let rev = await this.#parked.park(job);
    for (let round = 0; round < ROUNDS; round++) {
      // A later attempt or life is parked: this copy is stale, and has no place in the line.
      if (rev === undefined) return;
      await this.#store.enlist(ref, waiter);
      const lock = await this.#store.read(ref);
      // Never taken here: the message would be acked under a job that holds the key.
      if (!this.#freeFor(lock, job.id) && (await this.#takeable(lock)) === undefined) return;
      if (await this.#parked.postpone(job, rev, this.#clock.now())) return this.#onDue(job);
      // It went on its way meanwhile and may have come to its end: then nobody would take its row away while the key is free.
      await this.#store.leave(ref, waiter);
      // Unless another run of it has got into line since, and waits: that counts on the row. What is due is on its way without one.
      const parked = await this.#parked.get(job);
      rev = parked?.reason === "waiting" && !parked.claimed && parked.due > this.#clock.now() ? parked.rev : undefined;
    }
  }

  /** The run has ended. Does nothing when it holds the key no longer. */
  async release(ref: ExecutionKeyRef, me: RunIdentity): Promise<void> {
    const [next, second] = await this.#store.waiters(ref, 2);
    const reserve = next === undefined ? undefined : this.#reservation(next.job);
    if (!(await this.#store.release(ref, me.run, reserve))) return;
    await this.#wake(ref, next, me.job);
    // Should the first not come in time (its queue is long, or paused), the reservation lapses, and somebody must come then.
    if (second !== undefined && reserve !== undefined) await this.#parked.expedite({ partition: ref.partition, id: second.job }, reserve.until);
  }

  /** The job goes back to its queue and keeps its place: nobody may overtake it before the reservation lapses. */
  async handBack(ref: ExecutionKeyRef, me: RunIdentity): Promise<void> {
    await this.#store.release(ref, me.run, this.#reservation(me.job));
  }

  /** The job has come to its end without holding the key: its row goes, and what was reserved for it goes to the next. */
  async forsake(ref: ExecutionKeyRef, waiter: JobLife): Promise<void> {
    await this.#store.leave(ref, waiter);
    const [next] = await this.#store.waiters(ref, 1);
    const passed = await this.#store.reserve(ref, waiter.job, next === undefined ? undefined : this.#reservation(next.job));
    if (passed) await this.#wake(ref, next);
  }

  /**
   * Brings the first waiter forward, beginning with `reserved`, for whom the free lock is reserved. One that is not parked
   * is on its way through its queue, or gone: its row goes (it puts a new one if it has to wait again), its reservation
   * passes on. So it does where the job itself has just released the key: what its item is on its way to has been, and
   * nobody else would take the row away.
   */
  async #wake(ref: ExecutionKeyRef, reserved: JobLife | undefined, releaser?: string): Promise<void> {
    let next = reserved ?? (await this.#store.waiters(ref, 1))[0];
    for (let seen = 0; next !== undefined && seen < WAKE_LIMIT; seen++) {
      const { job } = next;
      const waked = await this.#expedite(ref, job);
      if (waked === "expedited" || (waked === "on_its_way" && job !== releaser)) return;
      await this.#store.leave(ref, next);
      // It may have got into line anew since it was found gone, and its new row gone with the old one.
      if ((await this.#expedite(ref, job)) === "expedited") return;
      [next] = await this.#store.waiters(ref, 1);
      await this.#store.reserve(ref, job, next === undefined ? undefined : this.#reservation(next.job));
    }
  }

  async #expedite({ partition }: ExecutionKeyRef, id: string): Promise<Expedited> {
    const waked = await this.#parked.expedite({ partition, id }, this.#clock.now());
    if (waked === "expedited") this.#onDue({ partition, id });
    return waked;
  }

  #reservation(job: string): { job: string; until: number } {
    return { job, until: this.#clock.now() + LIMITS.reservationMs };
  }

  #freeFor(lock: Lock | undefined, job: string): boolean {
    if (lock === undefined) return true;
    if (lock.holder !== undefined) return false;
    return lock.reserved === undefined || lock.reserved === job || (lock.reservedUntil ?? 0) <= this.#clock.now();
  }

  /** The run that holds the lock, if it has ended for certain. */
  async #takeable(lock: Lock | undefined): Promise<string | undefined> {
    if (lock?.run === undefined || lock.task === undefined) return undefined;
    return (await this.#runs.ended({ run: lock.run, task: lock.task })) ? lock.run : undefined;
  }
}
