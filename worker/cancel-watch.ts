import type { Clock } from "../core/contract/clock.ts";
import type { Timings } from "../core/contract/limits.ts";
import type { Service } from "../core/contract/service.ts";
import { type CancelMark, type CancelStore, hits } from "../core/job/cancels.ts";
import type { Envelope } from "../core/job/envelope.ts";
import type { Partition } from "../core/partition/partition.ts";
import type { Emit } from "./events.ts";

export interface CancelWatchOptions {
  readonly cancels: Pick<CancelStore, "list" | "get">;
  readonly clock: Pick<Clock, "monotonic">;
  readonly timings: Pick<Timings, "cancels">;
  readonly emit: Emit;
  /** The partition as this task knows it. */
  row(partition: string): Partition | undefined;
  /** Markers are new: running jobs may be among them. */
  onMarked(partition: string): void;
}

interface Marks {
  /** The partition's `cancelSeq` that these include at least. */
  readonly seq: number;
  /** By job id. */
  readonly of: ReadonlyMap<string, CancelMark>;
  /** Not to be read again before then, monotonic. */
  restUntil: number;
}

/**
 * The cancel markers of the partitions that this task works on, in memory: a job that comes up is looked for here, at no
 * cost. They are always read as a whole, up to 10,000, so how often has a bound:
 *
 * ```
 *   no job here yet ── its first job: waits for the reading, and stays queued if that fails ──▶ as new as the row
 *                                                                                                  │ ▲
 *                             the row tells of more: read at once, jobs that come up wait for it ──┤ │
 *                             ... within 1 s of the last reading, and 1 ms for each known:         ▼ │
 *                                    read when that has passed; until then what is known counts ─────┘
 * ```
 * While markers are older than their row, this task is one that has polled later: a cancelled job may start, as it may
 * before the poll, and its run is among those that are aborted when the markers are read. Nothing is missed by that: a
 * marker is put before the row says so, the row is looked at before the markers are, and a run has its envelope before it asks
 * `has`; so either its asking or `onMarked` finds the marker.
 *
 * | the reading fails, or the process dies | then |
 * |---|---|
 * | before a partition's first job | the job goes back to its queue |
 * | later | it is read again after the same pause; a task that comes next reads all |
 */
export class CancelWatch implements Service {
  readonly #options: CancelWatchOptions;
  readonly #marks = new Map<string, Marks>();
  readonly #loading = new Map<string, Promise<void>>();
  /** Partitions that are to be read when their pause has passed. */
  readonly #resting = new Map<string, NodeJS.Timeout>();

  constructor(options: CancelWatchOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    // Markers are read when they are first asked for.
  }

  async stop(): Promise<void> {
    for (const timer of this.#resting.values()) clearTimeout(timer);
    this.#resting.clear();
  }

  /**
   * Whether the job was cancelled. Answers at once when the markers are in memory, which they are but for a partition's first job.
   * @throws StoreUnavailable
   */
  has(envelope: Envelope): boolean | Promise<boolean> {
    const { partition } = envelope;
    const marks = this.#current(partition);
    if (marks !== undefined) return has(marks, envelope);
    return this.#load(partition).then(() => has(this.#marks.get(partition) ?? none(), envelope));
  }

  /**
   * Whether the table says so, whatever this task has heard of yet: for a message that came from another, which may have died
   * at its cancelling.
   * @throws StoreUnavailable
   */
  async hasNow(envelope: Envelope): Promise<boolean> {
    const mark = await this.#options.cancels.get(envelope.partition, envelope.id);
    return mark !== undefined && hits(mark, envelope);
  }

  /** As far as is known in memory. */
  knows(envelope: Envelope): boolean {
    const marks = this.#marks.get(envelope.partition);
    return marks !== undefined && has(marks, envelope);
  }

  /** A row is new or changed, or gone. */
  rowChanged(partition: string, row: Partition | undefined): void {
    if (row === undefined) {
      this.#marks.delete(partition);
      clearTimeout(this.#resting.get(partition));
      this.#resting.delete(partition);
      return;
    }
    const marks = this.#marks.get(partition);
    if (marks !== undefined && marks.seq < row.cancelSeq) this.#renew(partition, marks);
  }

  /** The markers, if they are as new as the row or wait to be read again; a partition that never had one needs no reading. */
  #current(partition: string): Marks | undefined {
    const marks = this.#marks.get(partition);
    const seq = this.#options.row(partition)?.cancelSeq ?? 0;
    if (marks !== undefined && (marks.seq >= seq || this.#resting.has(partition))) return marks;
    if (marks !== undefined || seq > 0) return undefined;
    const never = none();
    this.#marks.set(partition, never);
    return never;
  }

  /** Reads them, now or when they have rested. */
  #renew(partition: string, marks: Marks): void {
    const { clock, emit } = this.#options;
    if (this.#resting.has(partition)) return;
    const restMs = marks.restUntil - clock.monotonic();
    if (restMs > 0) {
      const timer = setTimeout(() => {
        this.#resting.delete(partition);
        this.#catchUp(partition);
      }, restMs);
      this.#resting.set(partition, timer);
      return;
    }
    this.#load(partition).catch((error: unknown) => emit({ type: "trouble", doing: `reading the cancel markers of ${partition}`, error }));
  }

  /** The row may have told of more while they were read. */
  #catchUp(partition: string): void {
    const marks = this.#marks.get(partition);
    if (marks !== undefined && marks.seq < (this.#options.row(partition)?.cancelSeq ?? 0)) this.#renew(partition, marks);
  }

  #load(partition: string): Promise<void> {
    let loading = this.#loading.get(partition);
    if (loading === undefined) {
      loading = this.#read(partition).then(
        () => this.#loaded(partition, true),
        (error: unknown) => {
          this.#loaded(partition, false);
          throw error;
        },
      );
      this.#loading.set(partition, loading);
    }
    return loading;
  }

  #loaded(partition: string, well: boolean): void {
    this.#loading.delete(partition);
    // What failed and has no pause is left to the next job that asks.
    if (well || this.#options.timings.cancels > 0) this.#catchUp(partition);
  }

  async #read(partition: string): Promise<void> {
    const { row, cancels, onMarked } = this.#options;
    // Taken before the reading: a marker is put before the row says so, so what is read is at least as new.
    const seq = row(partition)?.cancelSeq ?? 0;
    const known = this.#marks.get(partition);
    try {
      const marks = await cancels.list(partition);
      this.#marks.set(partition, { seq, of: new Map(marks.map((mark) => [mark.id, mark])), restUntil: this.#restedAt(marks.length) });
    } catch (error) {
      if (known !== undefined) known.restUntil = this.#restedAt(known.of.size);
      throw error;
    }
    onMarked(partition);
  }

  #restedAt(known: number): number {
    const { clock, timings } = this.#options;
    return clock.monotonic() + timings.cancels * (1 + known / 1_000);
  }
}

/** Of a partition that never had any. */
function none(): Marks {
  return { seq: 0, of: new Map(), restUntil: Number.NEGATIVE_INFINITY };
}

function has({ of }: Marks, envelope: Envelope): boolean {
  if (of.size === 0) return false;
  const mark = of.get(envelope.id);
  return mark !== undefined && hits(mark, envelope);
}
