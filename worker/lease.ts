import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../core/contract/clock.ts";
import type { Timings } from "../core/contract/limits.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { TaskState, TaskStore } from "../core/partition/task-store.ts";
import type { Emit } from "./events.ts";
import type { Watchdog } from "./watchdog.ts";

export interface LeaseOptions {
  readonly boot: string;
  readonly pool: string;
  readonly slots: number;
  readonly tasks: TaskStore;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly watchdog: Watchdog;
  readonly emit: Emit;
  /** Slots free right now. */
  free(): number;
  /** Slots have been full for a while; see `TaskState`. */
  full(): boolean;
  /** Whether RabbitMQ is there right now. */
  connected(): boolean;
  /** A renewal has succeeded: jobs that `mayStart` held up may start. */
  onRenewed(): void;
  /** Running jobs must be aborted: the task can't be sure any more that what it holds is its own. */
  onAbort(): void;
  /** Declared dead by a peer: nothing here is ours any more, the process must end. */
  onDead(): void;
}

/** Of the time that peers wait for, what a task that has declared itself dead may still need to end in; the watchdog looks every 250 ms. */
const LAST_WORDS = 0.75;

/**
 * This task's right to hold shares and run jobs.
 *
 * The table is authoritative; the local clock only ever shortens the trust. Time counts from the *sending* of the last
 * renewal that succeeded, on the monotonic clock:
 *
 * ```
 *  sent      10 s             12 s            18 s               20 s            22 s
 *   │─ trust ─│─ no new job ──│─ jobs abort ──│─ watchdog kills ─│─ peers say ───│─ what it held
 *   │         │               │               │  the process     │  dead         │  may be taken
 * ```
 *
 * A peer begins to watch a beat no earlier than the beat was written, which is after it was sent: its 20 s end after
 * our 18 s, whatever the clocks say. The watchdog is a thread of its own, so a blocked event loop can't stop it.
 */
export class Lease implements Service {
  readonly #options: LeaseOptions;
  readonly #beats: Ticker;
  readonly #trust: Ticker;
  #beat = 0;
  #lastGood = Number.NEGATIVE_INFINITY;
  #draining = false;
  /** What peers were told last. */
  #told = "";
  #late = false;
  #aborted = false;
  #over = false;

  constructor(options: LeaseOptions) {
    this.#options = options;
    const { timings, emit } = options;
    const onError = (error: unknown): void => emit({ type: "trouble", doing: "renewing the lease", error });
    this.#beats = new Ticker({
      pauseMs: timings.beat,
      // Not awaited: a request that hangs must not keep the next from being sent.
      round: async () => void this.#renew().catch(onError),
      onError,
    });
    this.#trust = new Ticker({
      pauseMs: Math.min(250, timings.beat / 4),
      round: async () => this.#judge(),
      onError: (error) => emit({ type: "trouble", doing: "judging the lease", error }),
    });
  }

  /** Whether a new job may start at this very moment. Cheap: asked for every job. */
  get mayStart(): boolean {
    return !this.#over && this.#age() < this.#options.timings.noNewJob;
  }

  get draining(): boolean {
    return this.#draining;
  }

  async start(): Promise<void> {
    const { boot, pool, slots, tasks, clock } = this.#options;
    const sent = clock.monotonic();
    await tasks.register({ boot, pool, slots, ...this.#state(), dead: false });
    this.#good(sent);
    await this.#options.watchdog.start();
    await this.#beats.start();
    await this.#trust.start();
  }

  /** Tells peers to plan without this task; what it still holds stays its own. */
  drain(): void {
    this.#draining = true;
    this.#beats.soon();
  }

  /**
   * Ends the lease. With nothing held it is simply forgotten; else this task declares itself dead, so that peers take
   * over soon: the caller must end the process right away. That write may land though its answer is lost, so the answer
   * is waited for no longer than half of what peers wait before they take over. A handler that never settled may block
   * the process right here: then the watchdog ends it before they do.
   */
  async end(holdsNothing: boolean): Promise<void> {
    const { tasks, boot, clock, timings, watchdog } = this.#options;
    if (holdsNothing) {
      await this.stop();
      await tasks.forget(boot);
      return;
    }
    await this.#rest();
    watchdog.renewed(timings.watchdog - LAST_WORDS * timings.takeover);
    await Promise.race([tasks.declareDead(boot, this.#beat, clock.now()), wait(timings.takeover / 2)]);
  }

  async stop(): Promise<void> {
    await this.#rest();
    await this.#options.watchdog.stop();
  }

  async #rest(): Promise<void> {
    this.#over = true;
    await this.#trust.stop();
    await this.#beats.stop();
  }

  async #renew(): Promise<void> {
    const { tasks, boot, clock } = this.#options;
    if (this.#over) return;
    const sent = clock.monotonic();
    this.#beat += 1;
    const alive = await tasks.renew(boot, this.#state());
    if (this.#over) return;
    if (alive) this.#good(Math.max(sent, this.#lastGood));
    else this.#dead();
  }

  #state(): TaskState {
    const { free, full, connected } = this.#options;
    const state = { beat: this.#beat, free: free(), full: full(), connected: connected(), draining: this.#draining };
    this.#told = duties(state);
    return state;
  }

  #good(sent: number): void {
    this.#lastGood = sent;
    this.#options.watchdog.renewed(this.#age());
    this.#judge();
    // At every renewal, not only when lateness was seen: it may have lasted shorter than the pause between two looks,
    // and a job that was refused in it would wait for a call that never comes.
    this.#options.onRenewed();
  }

  #dead(): void {
    this.#over = true;
    this.#options.emit({ type: "lease_lost", why: "declared dead by a peer" });
    this.#options.onAbort();
    this.#options.onDead();
  }

  #judge(): void {
    const { timings, emit, onAbort, full, connected } = this.#options;
    const age = this.#age();
    const late = age >= timings.noNewJob;
    const changed = late !== this.#late;
    this.#late = late;
    if (changed) emit({ type: late ? "lease_late" : "lease_regained" });
    if (!late) this.#aborted = false;
    if (age >= timings.abort && !this.#aborted) {
      this.#aborted = true;
      emit({ type: "lease_lost", why: `not renewed for ${Math.round(age)} ms` });
      onAbort();
    }
    // Peers take over what this task can't do now, and leave to it what it can do again: they need not wait for a beat.
    if (this.#told !== duties({ full: full(), connected: connected() })) this.#beats.soon();
  }

  #age(): number {
    return this.#options.clock.monotonic() - this.#lastGood;
  }
}

/** What peers deal out work by. */
function duties({ full, connected }: Pick<TaskState, "full" | "connected">): string {
  return `${full} ${connected}`;
}
