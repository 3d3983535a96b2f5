import type { Clock } from "../core/contract/clock.ts";
import { LIMITS, type Timings } from "../core/contract/limits.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { forEachWithin } from "../core/contract/window.ts";
import { type Partition, shardOf } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { Emit } from "./events.ts";

export interface PartitionWatchOptions {
  readonly partitions: PartitionStore;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  /** The row is new, or not what it was; `undefined`: it is gone. */
  onChange(id: string, partition: Partition | undefined): void;
  /** A group was read, changed or not. */
  onShardRead(shard: number, rows: readonly Partition[]): void;
}

/** Groups read side by side at the start. */
const READ_WIDTH = 8;

/**
 * This task's copy of the partition rows, kept up by polling the cluster's version.
 *
 * A command bumps the group's counter, writes the row, bumps again. So a reader that sees a new counter reads the
 * group, and reads it once more 15 s later:
 *
 * | the command dies after | seen by |
 * |---|---|
 * | the first bump | nothing was written |
 * | the row | the second read, 15 s after the first bump was seen |
 * | the second bump | the read that it causes |
 *
 * As a belt, every group is read in turn anyway.
 */
export class PartitionWatch implements Service {
  readonly #options: PartitionWatchOptions;
  readonly #ticker: Ticker;
  readonly #rows = new Map<string, Partition>();
  readonly #applied: number[] = new Array(LIMITS.partitionShards).fill(-1);
  /** Group -> when to read it again, monotonic. */
  readonly #again = new Map<number, number>();
  #sweepNext = 0;
  #sweptAt = 0;

  constructor(options: PartitionWatchOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: options.timings.poll,
      round: () => this.#poll(),
      onError: (error) => options.emit({ type: "trouble", doing: "polling the cluster's version", error }),
    });
  }

  get(id: string): Partition | undefined {
    return this.#rows.get(id);
  }

  all(): IterableIterator<Partition> {
    return this.#rows.values();
  }

  /** The counters that this task has applied. */
  get applied(): readonly number[] {
    return this.#applied;
  }

  async start(): Promise<void> {
    await this.#poll();
    this.#sweptAt = this.#options.clock.monotonic();
    await this.#ticker.start();
  }

  async stop(): Promise<void> {
    await this.#ticker.stop();
  }

  /** Takes in a row that came with a write of ours; an older one than we have is left alone. */
  accept(row: Partition): void {
    const known = this.#rows.get(row.id);
    if (known !== undefined && outranks(known, row)) return;
    this.#rows.set(row.id, row);
    if (known?.revision !== row.revision) this.#options.onChange(row.id, row);
  }

  /** Reads one row, strongly consistent. */
  async refresh(id: string): Promise<Partition | undefined> {
    const row = await this.#options.partitions.get(id);
    if (row !== undefined) this.accept(row);
    return row;
  }

  async readShard(shard: number): Promise<void> {
    const rows = await this.#options.partitions.readShard(shard);
    const present = new Set(rows.map(({ id }) => id));
    for (const row of rows) {
      const known = this.#rows.get(row.id);
      if (known !== undefined && (outranks(known, row) || same(known, row))) continue;
      this.#rows.set(row.id, row);
      this.#options.onChange(row.id, row);
    }
    for (const id of [...this.#rows.keys()]) {
      if (shardOf(id) !== shard || present.has(id)) continue;
      this.#rows.delete(id);
      this.#options.onChange(id, undefined);
    }
    this.#options.onShardRead(shard, rows);
  }

  async #poll(): Promise<void> {
    const { clock, partitions, timings } = this.#options;
    const { shards } = await partitions.readVersion();
    const now = clock.monotonic();
    const changed = shards.flatMap((count, shard) => (count === this.#applied[shard] ? [] : [shard]));
    const due = [...this.#again].filter(([, at]) => at <= now).map(([shard]) => shard);
    await forEachWithin(READ_WIDTH, new Set([...changed, ...due, ...this.#sweepDue(now)]), async (shard) => {
      await this.readShard(shard);
      this.#again.delete(shard);
      const count = shards[shard] ?? 0;
      if (count !== this.#applied[shard]) this.#again.set(shard, now + timings.reread);
      this.#applied[shard] = count;
    });
  }

  #sweepDue(now: number): number[] {
    if (now - this.#sweptAt < this.#options.timings.sweep / LIMITS.partitionShards) return [];
    this.#sweptAt = now;
    const shard = this.#sweepNext;
    this.#sweepNext = (shard + 1) % LIMITS.partitionShards;
    return [shard];
  }
}

/** A tombstone outranks nothing: DynamoDB removes it after its days, and the partition's next life begins at revision 1. */
function outranks(known: Partition, row: Partition): boolean {
  return known.status !== "deleted" && known.revision > row.revision;
}

function same(a: Partition, b: Partition): boolean {
  return (
    a.revision === b.revision &&
    a.status === b.status &&
    a.cancelSeq === b.cancelSeq &&
    JSON.stringify([a.held, a.shares]) === JSON.stringify([b.held, b.shares])
  );
}
