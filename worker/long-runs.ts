import type { Clock } from "../core/contract/clock.ts";
import type { Timings } from "../core/contract/limits.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { forEachWithin } from "../core/contract/window.ts";
import { decodeEnvelope, type Envelope } from "../core/job/envelope.ts";
import { type ParkedStore, parkedJob } from "../core/job/parked.ts";
import { runId } from "../core/keys/runs.ts";
import type { Emit } from "./events.ts";
import type { Run } from "./run.ts";
import { returnsOf } from "./suspects.ts";

export interface LongRunsOptions {
  readonly boot: string;
  readonly parked: ParkedStore;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  /** The runs under way in this task. */
  running(): Iterable<Run>;
  /** Hands back the deliveries that have waited for a turn for so long: their messages are as old as a long run's. */
  giveBackOlderThan(ms: number): void;
}

/** Table writes at once. */
const WIDTH = 16;

/**
 * RabbitMQ closes the channel of a message that stays unacked for 30 minutes. A job that is 10 minutes old therefore moves
 * from its message to a parked item, which its run keeps from falling due:
 *
 * | step | the process dies after | then |
 * |---|---|---|
 * | 1. park it as `long`, held by this run, due in 60 s | 1 | its message comes again, finds the item, is dropped; the item falls due; it runs again |
 * | 2. ack | 2 | the item falls due, it runs again |
 * | 3. every 20 s: push `due` on, if the item is still this run's | 3 | the same |
 * | 4. its end: the outcome is recorded, the item deleted if it is still this run's | 4 | done |
 *
 * A pump that takes the item for due takes it away from the run: the next push is refused and the run aborted. That
 * happens only to a task that could not reach the table for a minute, and such a task has aborted its jobs long before.
 *
 * Only a run whose handler runs is moved: the outcome of any other is being decided or recorded, and a `long` item that came
 * after that would bring the job back.
 */
export class LongRuns implements Service {
  readonly #options: LongRunsOptions;
  readonly #ticker: Ticker;
  /** Runs whose item is theirs, or may be: a write without an answer may have landed. */
  readonly #moved = new Map<Run, "unsure" | "held">();

  constructor(options: LongRunsOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: options.timings.longBeat,
      round: () => this.look(),
      onError: (error) => options.emit({ type: "trouble", doing: "keeping long jobs from falling due", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  /** Whether nothing of the run is parked: what every run but a long one is told at once. */
  isShort(run: Run): boolean {
    return !this.#moved.has(run);
  }

  /** The run has ended for good and its outcome is recorded: its item goes. @throws StoreUnavailable */
  async end(run: Run, envelope: Envelope): Promise<void> {
    await this.#options.parked.removeHeld(envelope, this.#runId(run));
    this.#moved.delete(run);
  }

  /** The job goes back: due now. @throws StoreUnavailable: then it falls due by itself */
  async handBack(run: Run, envelope: Envelope): Promise<void> {
    this.#moved.delete(run);
    await this.#options.parked.handBack(envelope, this.#runId(run), this.#options.clock.now());
  }

  /** The run's outcome has taken the item's place. */
  async replaced(run: Run): Promise<void> {
    this.#moved.delete(run);
  }

  /** One round over the runs under way: old ones are moved, moved ones pushed. */
  async look(): Promise<void> {
    const { clock, timings, running } = this.#options;
    this.#options.giveBackOlderThan(timings.long);
    const now = clock.monotonic();
    const old = [...running()].filter((run) => this.#moved.has(run) || (now - run.receivedAt >= timings.long && !run.delivery.lost));
    await forEachWithin(WIDTH, old, async (run) => {
      if (this.#moved.get(run) === "held") return this.#push(run);
      // Looked at only now: a run may have ended while others were moved.
      if (!run.performing) return;
      run.moving = this.#move(run);
      await run.moving;
      run.moving = undefined;
    });
  }

  async #move(run: Run): Promise<void> {
    const { parked, clock, timings, emit } = this.#options;
    const { envelope } = run;
    if (envelope === undefined) return;
    const now = clock.now();
    // Should its task die, that is one more return, which no broker counts.
    const asItCame = { ...decodeEnvelope(run.delivery.body), returns: returnsOf(run, envelope) + 1 };
    const item = parkedJob(asItCame, { reason: "long", run: this.#runId(run), due: now + timings.longLease, since: now });
    this.#moved.set(run, "unsure");
    try {
      // Refused, this copy is stale: a later attempt or life is parked, and nothing is lost with this one's message either.
      if ((await parked.park(item)) === undefined) this.#moved.delete(run);
      else this.#moved.set(run, "held");
      run.delivery.ack();
    } catch (error) {
      emit({ type: "trouble", doing: `parking the long job ${envelope.id}`, error });
    }
  }

  /** One that fails must not keep the others from being pushed. */
  async #push(run: Run): Promise<void> {
    const { parked, clock, timings, emit } = this.#options;
    if (run.envelope === undefined) return;
    try {
      const held = await parked.hold(run.envelope, this.#runId(run), clock.now() + timings.longLease);
      if (!held && run.performing) run.abort("lease_lost");
    } catch (error) {
      emit({ type: "trouble", doing: `keeping the long job ${run.envelope.id} from falling due`, error });
    }
  }

  #runId(run: Run): string {
    return runId(this.#options.boot, run);
  }
}
