import type { Clock } from "../core/contract/clock.ts";
import { LIMITS, type Timings } from "../core/contract/limits.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { forEachWithin } from "../core/contract/window.ts";
import type { DueRef, ParkedRef, ParkedStore } from "../core/job/parked.ts";
import type { Courier } from "./courier.ts";
import type { Emit } from "./events.ts";
import { PATIENCE_MS } from "./patient-publisher.ts";
import type { Roster } from "./roster.ts";

export interface PumpOptions {
  readonly parked: Pick<ParkedStore, "due">;
  readonly courier: Courier;
  readonly roster: Roster;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  /** Whether there is any use in trying: the lease is good and the broker is there. */
  mayPump(): boolean;
}

/** Due jobs taken from one key of the index in one round. */
const BATCH = 100;
/** Jobs on their way to the broker at once. */
const WIDTH = 50;

/** Jobs that a round no longer waits for: with those it does, still fewer than the window of unconfirmed publishes holds. */
const LATE_AT_MOST = 100;
if (WIDTH + LATE_AT_MOST >= LIMITS.confirmWindow) throw new Error("pump: what is late must leave room in the confirm window");

/**
 * Looks for parked jobs whose time has come, in this task's part of the due index; the courier brings each on its way.
 *
 * A round waits for each job for a moment only. One that takes longer, because its queue does not confirm, comes to its
 * end by itself, and those of other queues go on meanwhile. A job left behind in this way is claimed: no round meets it.
 */
export class Pump implements Service {
  readonly #options: PumpOptions;
  readonly #ticker: Ticker;
  #late = 0;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: options.timings.pump,
      round: () => this.#round(),
      onError: (error) => options.emit({ type: "trouble", doing: "pumping parked jobs", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  /**
   * Brings a job on its way that was made due just now, in whosever part of the index it is: the claim decides who has it.
   * A hot execution key would else be handed on once a round.
   */
  hurry(ref: ParkedRef): void {
    if (!this.#options.mayPump()) return;
    this.#bring({ kind: "parked", ref }).catch((error: unknown) => this.#trouble(`bringing the job ${ref.id} to its queue`, error));
  }

  async #round(): Promise<void> {
    const { mayPump, roster, parked, clock } = this.#options;
    if (!mayPump()) return;
    let full = false;
    for (let shard = 0; shard < LIMITS.dueShards; shard++) {
      // Dealt out among tasks with RabbitMQ: any other would sit on its part of the index.
      if (!roster.owns(`due/${shard}`, { connected: true })) continue;
      // What fails for one job or one part of the index must not keep the others waiting.
      const due = await parked.due(shard, clock.now(), BATCH).catch((error: unknown) => this.#trouble("looking for parked jobs", error));
      await forEachWithin(WIDTH, due ?? [], async (ref) => {
        // A round may last; what has begun to fail or to end in between must not go on claiming.
        if (mayPump()) await this.#bring(ref).catch((error: unknown) => this.#trouble("bringing a parked job to its queue", error));
      });
      full ||= due?.length === BATCH;
    }
    if (full) this.#ticker.soon();
  }

  #trouble(doing: string, error: unknown): undefined {
    this.#options.emit({ type: "trouble", doing, error });
  }

  async #bring(ref: DueRef): Promise<void> {
    const brought = this.#options.courier.bring(ref);
    if (this.#late >= LATE_AT_MOST || (await isSettledWithin(brought, PATIENCE_MS))) return brought;
    this.#late += 1;
    void brought
      .catch((error: unknown) => this.#options.emit({ type: "trouble", doing: "bringing a parked job to its queue", error }))
      .then(() => {
        this.#late -= 1;
      });
  }
}

async function isSettledWithin(promise: Promise<void>, ms: number): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true, // the caller awaits the promise itself, and has its error
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}
