import { LIMITS } from "../core/contract/limits.ts";
import type { QueueKey } from "../core/contract/names.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { forEachWithin } from "../core/contract/window.ts";
import { isDrained, type Partition } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { Emit } from "./events.ts";
import type { PartitionWatch } from "./partition-watch.ts";
import type { Roster } from "./roster.ts";

export interface EvictorOptions {
  readonly roster: Roster;
  readonly watch: PartitionWatch;
  readonly partitions: PartitionStore;
  readonly emit: Emit;
  readonly pauseMs: number;
}

/** Partitions that are cleared of a dead task's shares at the same time. */
const EVICTIONS_AT_ONCE = 16;

/**
 * Takes away what dead tasks hold, and lets a draining partition end once nothing of it is held.
 *
 * A task that died is dealt with group by group: each living task reads the groups that fall to it afresh (shares move
 * without a bump) and evicts. A task whose lease is gone altogether is dead too: a lease is there before anything is
 * held, and is removed only when nothing is.
 *
 * | dies after | then |
 * |---|---|
 * | some evictions | each is one conditional write; another task's round, or its sweep, does the rest |
 * | its own death, and a raise of it lands later | every read of the group evicts it anew; the next scaling pass does, too (functions/tidy.ts) |
 * | the last eviction of a draining partition | whoever reads the row next finds nothing held, and ends it |
 */
export class Evictor implements Service {
  readonly #options: EvictorOptions;
  readonly #ticker: Ticker;
  /** Dead task -> groups that were searched for it and fell to this task. */
  readonly #searched = new Map<string, Set<number>>();

  constructor(options: EvictorOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: options.pauseMs,
      round: () => this.#round(),
      onError: (error) => options.emit({ type: "trouble", doing: "taking over from dead tasks", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  /** Rows came in that someone read: act on what they show. */
  async inspect(rows: readonly Partition[]): Promise<void> {
    const takeable = new Set(this.#options.roster.takeable());
    const strangers = strangersIn(rows, this.#options.roster);
    if (strangers.length > 0) {
      // Unknown at the last look; only a look from after the row was read tells "gone" from "new".
      const present = await this.#options.roster.present();
      for (const boot of strangers) if (!present.has(boot)) takeable.add(boot);
    }
    const touched = rows.filter((row) => isDrained(row) || [...sharesOf(row)].some(({ boot }) => takeable.has(boot)));
    // Side by side over the rows: a task may have held a share of every tenant.
    await forEachWithin(EVICTIONS_AT_ONCE, touched, (row) => this.#clear(row, takeable));
  }

  async #clear(row: Partition, takeable: ReadonlySet<string>): Promise<void> {
    const { partitions, watch } = this.#options;
    let evicted = false;
    for (const { key, boot, share } of sharesOf(row)) {
      if (takeable.has(boot) && (await this.#evict(row, key, boot, share))) evicted = true;
    }
    // Only the end of a draining partition hangs on what is left; whoever wants to raise looks at the row himself.
    const now = evicted && row.status === "draining" ? await watch.refresh(row.id) : row;
    if (now !== undefined && isDrained(now)) await partitions.settleDrained(now);
  }

  async #round(): Promise<void> {
    const takeable = this.#options.roster.takeable();
    for (const boot of this.#searched.keys()) if (!takeable.includes(boot)) this.#searched.delete(boot);
    for (let shard = 0; shard < LIMITS.partitionShards; shard++) {
      const waiting = takeable.filter((boot) => !this.#searchedFor(boot).has(shard));
      if (waiting.length === 0 || !this.#options.roster.owns(`evict/${shard}`)) continue;
      await this.inspect(await this.#options.partitions.readShard(shard));
      for (const boot of waiting) this.#searchedFor(boot).add(shard);
    }
  }

  #searchedFor(boot: string): Set<number> {
    let groups = this.#searched.get(boot);
    if (groups === undefined) {
      groups = new Set();
      this.#searched.set(boot, groups);
    }
    return groups;
  }

  async #evict(row: Partition, key: QueueKey, boot: string, share: number): Promise<boolean> {
    const evicted = await this.#options.partitions.evictShare(row.id, key, boot, share);
    if (evicted) this.#options.emit({ type: "evicted", partition: row.id, queue: key, boot, share });
    return evicted;
  }
}

function* sharesOf(row: Partition): Generator<{ readonly key: QueueKey; readonly boot: string; readonly share: number }> {
  for (const [key, byTask] of Object.entries(row.shares) as [QueueKey, Record<string, number>][]) {
    for (const [boot, share] of Object.entries(byTask)) yield { key, boot, share };
  }
}

function strangersIn(rows: readonly Partition[], roster: Roster): string[] {
  return [...new Set(rows.flatMap((row) => [...sharesOf(row)].map(({ boot }) => boot)))].filter((boot) => !roster.knows(boot));
}
