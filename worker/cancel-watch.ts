import type { CancelStore } from "../core/job/cancels.ts";
import type { Envelope } from "../core/job/envelope.ts";
import type { Partition } from "../core/partition/partition.ts";
import type { Emit } from "./events.ts";

export interface CancelWatchOptions {
  readonly cancels: CancelStore;
  readonly emit: Emit;
  /** The partition as this task knows it. */
  row(partition: string): Partition | undefined;
  /** Markers are new: running jobs may be among them. */
  onMarked(partition: string): void;
}

interface Marks {
  /** The partition's `cancelSeq` that these include at least. */
  readonly seq: number;
  /** Job id -> when it was cancelled, epoch ms. */
  readonly at: ReadonlyMap<string, number>;
}

const NONE: Marks = { seq: 0, at: new Map() };

/**
 * The cancel markers of the partitions that this task works on, in memory: a job that comes up is looked for here, at no
 * cost. A partition's markers are read before its first job runs here, and again when its row says that there are more.
 */
export class CancelWatch {
  readonly #options: CancelWatchOptions;
  readonly #marks = new Map<string, Marks>();
  readonly #loading = new Map<string, Promise<void>>();

  constructor(options: CancelWatchOptions) {
    this.#options = options;
  }

  /**
   * Whether the job was cancelled. Answers at once when the markers are in memory, which they are but for a partition's first job.
   * @throws StoreUnavailable
   */
  has(envelope: Envelope): boolean | Promise<boolean> {
    const marks = this.#current(envelope.partition);
    if (marks !== undefined) return hits(marks, envelope);
    return this.#load(envelope.partition).then(() => hits(this.#marks.get(envelope.partition) ?? NONE, envelope));
  }

  /** As far as is known in memory. */
  knows(envelope: Envelope): boolean {
    return hits(this.#marks.get(envelope.partition) ?? NONE, envelope);
  }

  /** A row is new or changed, or gone. */
  rowChanged(partition: string, row: Partition | undefined): void {
    if (row === undefined) {
      this.#marks.delete(partition);
      return;
    }
    const marks = this.#marks.get(partition);
    if (marks === undefined || marks.seq >= row.cancelSeq) return;
    this.#load(partition).catch((error: unknown) =>
      this.#options.emit({ type: "trouble", doing: `reading the cancel markers of ${partition}`, error }),
    );
  }

  /** The markers, if they are as new as the row; a partition that never had one needs no reading. */
  #current(partition: string): Marks | undefined {
    const marks = this.#marks.get(partition);
    const seq = this.#options.row(partition)?.cancelSeq ?? 0;
    if (marks !== undefined && marks.seq >= seq) return marks;
    if (marks !== undefined || seq > 0) return undefined;
    this.#marks.set(partition, NONE);
    return NONE;
  }

  #load(partition: string): Promise<void> {
    const loading = this.#loading.get(partition) ?? this.#read(partition).finally(() => this.#loading.delete(partition));
    this.#loading.set(partition, loading);
    return loading;
  }

  async #read(partition: string): Promise<void> {
    // Taken before the reading: a marker is put before the row says so, so what is read is at least as new.
    const seq = this.#options.row(partition)?.cancelSeq ?? 0;
    const marks = await this.#options.cancels.list(partition);
    this.#marks.set(partition, { seq, at: new Map(marks.map(({ id, at }) => [id, at])) });
    this.#options.onMarked(partition);
  }
}

function hits({ at }: Marks, { id, enqueued_at }: Envelope): boolean {
  if (at.size === 0) return false;
  const cancelledAt = at.get(id);
  return cancelledAt !== undefined && enqueued_at < cancelledAt;
}
