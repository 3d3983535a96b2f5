import { LIMITS } from "../core/contract/limits.ts";
import type { Envelope } from "../core/job/envelope.ts";
import type { SuspectStore } from "../core/job/suspects.ts";
import type { Emit } from "./events.ts";
import type { Run } from "./run.ts";

export interface SuspectsOptions {
  readonly store: SuspectStore;
  readonly emit: Emit;
  /** The longest the event loop stood still lately, in ms. */
  loopLag(): number;
}

export type Delivered = Pick<Run, "delivery">;

/** RabbitMQ counts deliveries by rules that differ by version, so a count only raises suspicion; from this one on. */
const SUSPICIOUS_RETURNS = 2;
/** A loop that stood still for this long loses connections by itself: such a loss clears nobody. */
const GUILTY_LAG_MS = 5_000;

/**
 * Jobs that may be what kills their worker. A message that came back more than once is a suspect: its starts are counted in
 * the table until one of them ends in order. One that has such a start on its count runs only where no other like it does,
 * so that neighbours are not charged; after five of them it is buried as poison.
 *
 * | the process dies after | then |
 * |---|---|
 * | the start is counted | it counts: that is the point |
 * | the run has ended, its count not cleared | it has been started once too often by the books; only the sixth such start buries it |
 *
 * The broker counts a message that was published anew from zero. So whoever parks a job before it has run (it waits for a
 * key, for another suspect, or until its own dead run is known to be dead) writes into its envelope how often its
 * messages came back so far; and so does whoever drops a message because its job is parked still (record.ts): its pump may
 * be what it kills. A job that was published twice has two counts.
 */
export class Suspects {
  readonly #options: SuspectsOptions;
  #alone: Run | undefined;
  readonly #counted = new Set<Run>();

  constructor(options: SuspectsOptions) {
    this.#options = options;
  }

  static isSuspect(run: Delivered, envelope: Envelope): boolean {
    return returnsOf(run, envelope) >= SUSPICIOUS_RETURNS;
  }

  /**
   * Whether a suspect may go on. One that never failed to end in order (a message also comes back when its task is
   * deployed anew) runs beside others; from its first start without such an end on, it runs as the only one of its kind.
   * @returns `false` when another such job runs here
   * @throws StoreUnavailable
   */
  async enter(run: Run, { partition, id }: Envelope): Promise<boolean> {
    if ((await this.#options.store.starts(partition, id)) === 0) return true;
    if (this.#alone !== undefined) return false;
    this.#alone = run;
    return true;
  }

  /**
   * The handler of a suspect is about to start.
   * @returns `false` when it was started too often without an orderly end: it is poison
   * @throws StoreUnavailable: then it must not start
   */
  async mayStart(run: Run, { partition, id }: Envelope): Promise<boolean> {
    this.#counted.add(run);
    return (await this.#options.store.started(partition, id)) <= LIMITS.poisonStarts;
  }

  /** A run has ended in this process, however. Costs nothing for one that is no suspect. */
  async ended(run: Run, { partition, id }: Envelope): Promise<void> {
    if (this.#alone === run) this.#alone = undefined;
    // What did not start has shown nothing, neither way.
    if (!this.#counted.delete(run)) return;
    const lostTouch = run.aborted === "connection_lost" || run.aborted === "lease_lost";
    if (lostTouch && this.#options.loopLag() >= GUILTY_LAG_MS) return;
    try {
      await this.#options.store.cleared(partition, id);
    } catch (error) {
      // The count stays one too high; the next orderly end clears it.
      this.#options.emit({ type: "trouble", doing: `clearing the suspicion of job ${id}`, error });
    }
  }
}

/** How often the messages of this attempt came back so far, as far as the broker tells. */
export function returnsOf({ delivery }: Delivered, envelope: Envelope): number {
  return (envelope.returns ?? 0) + delivery.deliveryCount;
}

/** The envelope with that count, for a message that is published anew. */
export function withReturns(run: Delivered, envelope: Envelope): Envelope {
  const returns = returnsOf(run, envelope);
  return returns === 0 ? envelope : { ...envelope, returns };
}
