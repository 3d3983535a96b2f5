import type { Clock } from "../core/contract/clock.ts";
import { brokerQueue } from "../core/contract/names.ts";
import { checkDestination } from "../core/job/destination.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";

/**
 * A queue that was there is taken to be there for this long. A partition deleted meanwhile takes the job along; a queue no
 * longer listed keeps it until it is listed again.
 */
const REMEMBERED_MS = 5_000;
/** Queues remembered at once; beyond it all are read anew. */
const MOST = 10_000;

/**
 * Whether a job's queue exists: strong reads of the partition's row, "yes" remembered for a moment, "no" never, so that
 * what was just started is known at once.
 */
export class Destinations {
  readonly #partitions: Pick<PartitionStore, "get">;
  readonly #clock: Clock;
  /** Queue in RabbitMQ -> until when, by the monotonic clock. */
  readonly #known = new Map<string, number>();

  constructor(partitions: Pick<PartitionStore, "get">, clock: Clock) {
    this.#partitions = partitions;
    this.#clock = clock;
  }

  /** @throws UnknownPartition, UnknownQueue, StoreUnavailable */
  async check(partition: string, queue: string): Promise<void> {
    const name = brokerQueue(partition, queue);
    if ((this.#known.get(name) ?? 0) > this.#clock.monotonic()) return;
    await this.checkNow(partition, queue);
  }

  /** As `check`, by a read of its own. */
  async checkNow(partition: string, queue: string): Promise<void> {
    const name = brokerQueue(partition, queue);
    this.#known.delete(name);
    checkDestination(await this.#partitions.get(partition), partition, queue);
    if (this.#known.size >= MOST) this.#known.clear();
    this.#known.set(name, this.#clock.monotonic() + REMEMBERED_MS);
  }
}
