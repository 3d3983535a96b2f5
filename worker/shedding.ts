import type { Clock } from "../core/contract/clock.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { shardOf } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { Emit } from "./events.ts";
import type { Turns } from "./turns.ts";
import type { LetGo, Workforce } from "./workforce.ts";

export interface SheddingOptions {
  readonly turns: Turns;
  readonly workforce: Pick<Workforce, "shedIdleQueues" | "unshed">;
  readonly partitions: Pick<PartitionStore, "announce">;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Slots full for this long: queues are let go. */
  readonly afterMs: number;
  /** Peers are told of queues that were let go no more often than this. */
  readonly announceMs: number;
  connected(): boolean;
}

/** A slot must stay free for this many times `afterMs` before peers are told of room: what moves here must not move right back. */
const CALM = 5;

/**
 * Nothing is hoarded: a task whose slots stay full, or that has lost RabbitMQ, lets go the queues that run nothing here and
 * that do better with a task that has room; it takes them up again once a slot has stayed free. A queue that nobody else
 * with room could serve is kept: its jobs take turns with the rest.
 *
 *   room ── slots full for 1 s, or no RabbitMQ for 1 s ──▶ full ── a slot free for 5 s, and RabbitMQ there ──▶ room
 *
 * While full, peers know it from the beat. What was let go shows in the rows, which tell nobody by themselves: so the
 * groups of rows from which jobs wait are announced as a command would announce them. Should the announcement fail, it
 * is made at the next look; should the task die first, its peers take over all it was meant for anyway.
 */
export class Shedding implements Service {
  readonly #options: SheddingOptions;
  readonly #ticker: Ticker;
  #full = false;
  /** Monotonic; `undefined` while connected. */
  #awaySince: number | undefined;
  /** Groups of rows that peers should look at. */
  readonly #unannounced = new Set<number>();
  #announcedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SheddingOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: Math.max(50, options.afterMs / 4),
      round: () => this.#look(),
      onError: (error) => options.emit({ type: "trouble", doing: "letting idle queues go", error }),
    });
  }

  /** This task has no use for more work. */
  get full(): boolean {
    return this.#full;
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async #look(): Promise<void> {
    const { turns, workforce, afterMs, connected, clock } = this.#options;
    this.#awaySince = connected() ? undefined : (this.#awaySince ?? clock.monotonic());
    const awayForMs = this.#awaySince === undefined ? 0 : clock.monotonic() - this.#awaySince;
    if (turns.fullForMs >= afterMs || awayForMs >= afterMs) {
      this.#full = true;
      await this.#tell(workforce.shedIdleQueues(awayForMs >= afterMs));
    } else if (this.#full && awayForMs === 0 && turns.freeForMs >= afterMs * CALM) {
      this.#full = false;
      workforce.unshed();
    }
    await this.#announce();
  }

  /** Only once the rows show it. */
  async #tell(letGo: readonly LetGo[]): Promise<void> {
    await Promise.all(letGo.map(({ worker }) => worker.rested()));
    for (const { partition } of letGo) this.#unannounced.add(shardOf(partition));
  }

  async #announce(): Promise<void> {
    const { partitions, clock, announceMs } = this.#options;
    if (this.#unannounced.size === 0 || clock.monotonic() - this.#announcedAt < announceMs) return;
    this.#announcedAt = clock.monotonic();
    const shards = [...this.#unannounced];
    await partitions.announce(shards);
    for (const shard of shards) this.#unannounced.delete(shard);
  }
}
