import type { QueueKey } from "../core/contract/names.ts";
import type { Window } from "../core/contract/window.ts";
import type { PartitionChannel, Subscription } from "../core/job/broker.ts";
import { heldOf, isDrained, maxWorkersOf, type Partition, shareOf } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { Emit } from "./events.ts";
import type { PartitionWatch } from "./partition-watch.ts";
import type { QueueIntake } from "./queue-intake.ts";

export interface QueueKeeperOptions {
  readonly boot: string;
  readonly pool: string;
  readonly partition: string;
  readonly queue: string;
  readonly key: QueueKey;
  readonly brokerQueue: string;
  readonly watch: PartitionWatch;
  readonly partitions: PartitionStore;
  readonly intake: QueueIntake;
  /** Bounds the store calls of all keepers together: a task that comes or goes makes every one of them move at once. */
  readonly moves: Window;
  readonly emit: Emit;
  /** Whether this task still trusts its lease. */
  mayRaise(): boolean;
  channel(): PartitionChannel;
  /** How much of the queue this task should hold by what it knows now, and that it holds `share`. */
  target(row: Partition | undefined, share: number): number;
  /** The keeper has come to rest. */
  onRest(): void;
}

/** Between two tries to raise a share that others still hold, or after the store was away. */
const RETRY_MS = { first: 200, most: 5_000 } as const;

/**
 * Moves one queue of this task towards its target: the share in the table, the limit of jobs, the consumer.
 * Level-triggered: whatever changed, one loop compares what is with what should be. Never two steps at once.
 *
 * The order is what keeps `max_workers` exact, wherever the process dies:
 *
 * | raising | dies after | then |
 * |---|---|---|
 * | 1. the share is written | 1 | the table says we hold more than we run: safe; evicted with the task |
 * | 2. the limit rises | 2 | – |
 * | 3. the consumer's prefetch follows | | |
 *
 * | lowering | dies after | then |
 * |---|---|---|
 * | 1. the limit falls, nothing new starts | 1 | the table says we hold more than we run: safe |
 * | 2. the consumer follows, what waits goes back | 2 | the same |
 * | 3. the share is written, for runs that have settled only | 3 | – |
 *
 * A task that stood still may wake up dead, with a raise to send whose time is over: the lease is asked last thing before
 * one is sent. What was on the wire by then, or was sent by a task whose clock stood still with it, lands in the name of
 * a dead task: functions/tidy.ts and worker/evictor.ts take it, however late it comes.
 *
 * When a write's reply is lost, the share counts as the smaller of the two until the row is read back. Such a write may land
 * even later, when nobody waits for it any more: then the row says that we hold more than we count on. A row that says
 * anything else than we do is read again, and brought down to what we count on; else nobody would ever give that back.
 */
export class QueueKeeper {
  readonly #options: QueueKeeperOptions;
  #share = 0;
  /** The share must be read back before it is built upon. */
  #doubtful = false;
  #subscription: Subscription | undefined;
  #prefetch = 0;
  #dirty = false;
  #closed = false;
  #stepping: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retrying = false;
  #retryMs: number = RETRY_MS.first;

  constructor(options: QueueKeeperOptions) {
    this.#options = options;
  }

  get share(): number {
    return this.#share;
  }

  /** Nothing is held, consumed or run here. */
  get empty(): boolean {
    const held = this.#share > 0 || this.#doubtful;
    return !held && this.#subscription === undefined && this.#options.intake.running.size === 0;
  }

  /** Something changed: compare again. */
  nudge(): void {
    if (this.#closed) return;
    this.#lowerLimit();
    this.#dirty = true;
    this.#stepping ??= this.#steps();
  }

  /**
   * What may start no more does not wait for the step under way, which may be waiting for the table: a job that was aborted by
   * a stop comes back at once, and nobody would abort it a second time.
   */
  #lowerLimit(): void {
    const { watch, partition, intake, target } = this.#options;
    if (intake.limit === 0) return;
    const wanted = target(watch.get(partition), this.#share);
    if (wanted < intake.limit) intake.setLimit(wanted);
  }

  /** Something may have changed: compare again if it makes a difference. Asked of thousands of queues at once. */
  reconsider(): void {
    const { watch, partition, intake, target } = this.#options;
    const resting = this.#stepping === undefined && !this.#doubtful && !this.#retrying && !this.#isContradicted();
    if (resting && intake.limit === this.#share && target(watch.get(partition), this.#share) === this.#share) return;
    this.nudge();
  }

  /** Resolves once the keeper rests. */
  async rested(): Promise<void> {
    while (this.#stepping !== undefined) await this.#stepping;
  }

  /** Gives up on retrying; what is still held is left to eviction. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  async #steps(): Promise<void> {
    // Callers nudge from within loops over many queues: let them finish first.
    await Promise.resolve();
    while (this.#dirty) {
      this.#dirty = false;
      try {
        if (await this.#step()) this.#settled();
        else this.#later();
      } catch (error) {
        this.#options.emit({ type: "trouble", doing: `moving the share of ${this.#options.brokerQueue}`, error });
        this.#later();
      }
    }
    this.#stepping = undefined;
    this.#options.onRest();
  }

  /** @returns whether everything is as it should be */
  async #step(): Promise<boolean> {
    const { watch, partition, intake, target } = this.#options;
    if (this.#doubtful || this.#isContradicted()) await this.#readBack();
    if (this.#doubtful) return false;
    const row = watch.get(partition);
    const wanted = target(row, this.#share);

    intake.setLimit(Math.min(this.#share, wanted));
    if (wanted > this.#share && row !== undefined) await this.#raise(row, wanted);
    await this.#follow();
    const keep = Math.max(wanted, intake.running.size);
    if (this.#share > keep) await this.#lower(keep);
    // A share that was taken over from the row, after a refusal, has neither limit nor consumer yet.
    if (this.#doubtful || intake.limit !== Math.min(this.#share, wanted)) return false;
    const rests = this.#share === wanted || (this.#share > wanted && this.#share === intake.running.size);
    // The row that came with a write of ours may show what others have done meanwhile: that is news like any other.
    if (rests && target(watch.get(partition), this.#share) !== wanted) this.#dirty = true;
    return rests;
  }

  async #raise(seen: Partition, wanted: number): Promise<void> {
    const { watch, partition, pool, queue, key, intake, target } = this.#options;
    // The copy may be older than what others have taken since: when it says "full", look again before giving up.
    const row = this.#room(seen) > 0 ? seen : await this.#readRow();
    if (row === undefined || row.revision !== seen.revision) return;
    const to = Math.min(wanted, this.#share + this.#room(row));
    if (to <= this.#share) return;
    const moved = await this.#move(row.revision, this.#share, to, maxWorkersOf(row, pool, queue) ?? 0);
    if (moved === undefined) return;
    if (moved) {
      this.#share = to;
      // What was wanted when the raise was sent may be too much by now.
      intake.setLimit(Math.min(to, this.#dirty ? target(watch.get(partition), to) : wanted));
    } else {
      const now = watch.get(partition);
      this.#share = now === undefined ? 0 : shareOf(now, key, this.#options.boot);
      intake.setLimit(Math.min(this.#share, intake.limit));
    }
  }

  /** The row, as it was seen last, says that we hold something else. (It may be older than a write of ours: then reading it costs nothing more.) */
  #isContradicted(): boolean {
    const { watch, partition, key, boot } = this.#options;
    const row = watch.get(partition);
    return row !== undefined && shareOf(row, key, boot) !== this.#share;
  }

  #room(row: Partition): number {
    const { pool, queue, key } = this.#options;
    return (maxWorkersOf(row, pool, queue) ?? 0) - heldOf(row, key);
  }

  async #lower(keep: number): Promise<void> {
    const { watch, partitions, partition, key, boot, moves } = this.#options;
    const from = this.#share;
    this.#share = keep;
    const moved = await this.#move(watch.get(partition)?.revision ?? 0, from, keep, 0);
    const now = watch.get(partition);
    if (moved) {
      if (now !== undefined && isDrained(now)) await moves.run(() => partitions.settleDrained(now));
      return;
    }
    this.#share = now === undefined ? 0 : Math.min(keep, shareOf(now, key, boot));
    this.#doubtful = true;
  }

  /** One write; when its reply is lost, the share is in doubt. @returns whether it was done; `undefined`: a raise that was not sent */
  async #move(revision: number, from: number, to: number, maxWorkers: number): Promise<boolean | undefined> {
    const { partitions, partition, key, boot, watch, moves, mayRaise } = this.#options;
    const before = this.#doubtful;
    this.#doubtful = true;
    // It may wait here for its turn: what was true before says nothing.
    const result = await moves.run(async () =>
      to > from && !mayRaise() ? undefined : await partitions.moveShare({ partition, revision, key, task: boot, from, to, maxWorkers }),
    );
    this.#doubtful = before;
    if (result === undefined) return undefined;
    if (result.partition !== undefined) watch.accept(result.partition);
    return result.moved;
  }

  /**
   * After a lost reply the row is brought down to what we count on, by a write of its own: a lowering that is still under
   * way somewhere can then only be refused, and never take away a share that was raised since.
   */
  async #readBack(): Promise<void> {
    const { key, boot } = this.#options;
    this.#doubtful = true;
    const row = await this.#readRow();
    const written = row === undefined ? 0 : shareOf(row, key, boot);
    this.#share = Math.min(this.#share, written);
    if (row === undefined || written === this.#share || (await this.#move(row.revision, written, this.#share, 0))) this.#doubtful = false;
  }

  #readRow(): Promise<Partition | undefined> {
    const { watch, partition, moves } = this.#options;
    return moves.run(() => watch.refresh(partition));
  }

  /** The consumer follows the limit; what waits beyond it goes back. */
  async #follow(): Promise<void> {
    const { intake, brokerQueue, channel } = this.#options;
    const limit = intake.limit;
    if (limit === 0) {
      await this.#subscription?.stop();
      this.#subscription = undefined;
    } else if (this.#subscription === undefined) {
      this.#subscription = channel().subscribe({
        brokerQueue,
        prefetch: limit,
        onDelivery: (delivery) => intake.receive(delivery),
        onLost: (deliveries) => intake.lost(deliveries),
      });
    } else if (limit !== this.#prefetch) {
      await this.#subscription.setPrefetch(limit);
    }
    this.#prefetch = limit;
    intake.giveBackBeyondLimit();
  }

  #settled(): void {
    clearTimeout(this.#retry);
    this.#retrying = false;
    this.#retryMs = RETRY_MS.first;
  }

  #later(): void {
    clearTimeout(this.#retry);
    if (this.#closed) return;
    this.#retrying = true;
    const jittered = this.#retryMs * (0.5 + Math.random());
    this.#retryMs = Math.min(RETRY_MS.most, this.#retryMs * 2);
    this.#retry = setTimeout(() => this.nudge(), jittered);
  }
}
