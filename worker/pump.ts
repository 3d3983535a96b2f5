import type { Clock } from "../core/contract/clock.ts";
import type { Timings } from "../core/contract/limits.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { forEachWithin } from "../core/contract/window.ts";
import { DUE_SHARDS } from "../core/job/due-shard.ts";
import type { Due, ParkedRef, ParkedStore } from "../core/job/parked.ts";
import type { Courier } from "./courier.ts";
import { DueLanes } from "./due-lanes.ts";
import { lookAt } from "./due-look.ts";
import type { Emit } from "./events.ts";
import type { Roster } from "./roster.ts";

export interface PumpOptions {
  readonly parked: Pick<ParkedStore, "due">;
  readonly courier: Pick<Courier, "bring">;
  readonly roster: Pick<Roster, "owns">;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  /** Whether there is any use in trying: the lease is good and the broker is there. */
  mayPump(): boolean;
}

/** Keys of the index that are read at the same time. */
const READS_AT_ONCE = 4;

/**
 * Looks for parked jobs whose time has come, in this task's part of the due index; the courier brings each on its way.
 *
 * ```
 *   look, every 500 ms ──▶ the two ends of each key ──▶ partitions in turn ──▶ plan ──▶ lanes ──▶ courier
 *     ▲                                                                          │
 *     └────────────────── worked off, and there may be more ─────────────────────┘
 * ```
 * Looks go by the clock and do not wait for the work that they give: a job that falls due is planned at the next one, before
 * all but the first of every other partition, however many of those are left.
 */
export class Pump implements Service {
  readonly #options: PumpOptions;
  readonly #ticker: Ticker;
  readonly #lanes: DueLanes;
  /** There was more than a look shows. */
  #more = false;

  constructor(options: PumpOptions) {
    this.#options = options;
    const { courier, emit, mayPump, timings } = options;
    this.#lanes = new DueLanes({
      courier,
      emit,
      mayPump,
      onWorkedOff: () => {
        if (this.#more) this.#ticker.soon();
      },
    });
    this.#ticker = new Ticker({
      pauseMs: timings.pump,
      round: () => this.#look(),
      onError: (error) => emit({ type: "trouble", doing: "looking for parked jobs", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  async stop(): Promise<void> {
    await this.#ticker.stop();
    await this.#lanes.end();
  }

  /**
   * Brings a job on its way that was made due just now, in whosever part of the index it is: the claim decides who has it.
   * A hot execution key would else be handed on once a round.
   */
  hurry(ref: ParkedRef): void {
    if (this.#options.mayPump()) this.#lanes.hurry({ kind: "parked", ref });
  }

  async #look(): Promise<void> {
    const { mayPump, roster, parked, clock } = this.#options;
    if (!mayPump()) return;
    const found: Due[] = [];
    const failures: unknown[] = [];
    this.#more = false;
    // Dealt out among tasks with RabbitMQ: any other would sit on its part of the index.
    const mine = DUE_SHARDS.filter((shard) => roster.owns(`due/${shard}`, { connected: true }));
    await forEachWithin(READS_AT_ONCE, mine, async (shard) => {
      try {
        const { due, full } = await lookAt(parked, shard, clock.now());
        found.push(...due);
        this.#more ||= full;
      } catch (error) {
        // One part of the index that can't be read must not keep the others waiting.
        failures.push(error);
      }
    });
    this.#lanes.plan(found);
    if (failures.length > 0) throw failures[0];
  }
}
