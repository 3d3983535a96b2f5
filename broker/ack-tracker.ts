/** What RabbitMQ numbers: 1, 2, 3, … over all consumers of one channel. */
export interface Tagged {
  readonly tag: number;
}

/** Where the frames go. */
export interface AckSink<D extends Tagged> {
  /** `multiple`: this one and every earlier one that RabbitMQ has not heard of yet. */
  ack(delivery: D, multiple: boolean): void;
  nack(delivery: D): void;
}

/**
 * The deliveries of one channel between their arrival and the frame that settles them.
 *
 * `flush` says in as few frames as it can what was settled since the last one: the finished contiguous prefix with one
 * `multiple`, the rest singly. Three rules keep RabbitMQ from closing the channel, or from losing a job:
 * - a `multiple` never reaches over an unsettled delivery: it would ack it;
 * - a `multiple` names a delivery that is acked in this flush: a tag that RabbitMQ has forgotten is an error to it;
 * - nacks go first: a `multiple` over one that is not sent yet would ack it.
 */
export class AckTracker<D extends Tagged> {
  /** A Set keeps the order of insertion, so the first is the lowest tag. */
  private readonly open = new Set<D>();
  private readonly acked: D[] = [];
  private readonly nacked: D[] = [];
  private lastTag = 0;

  received(delivery: D): void {
    if (delivery.tag <= this.lastTag) throw new Error(`delivery tag ${delivery.tag} after ${this.lastTag}: the tags of a channel rise`);
    this.lastTag = delivery.tag;
    this.open.add(delivery);
  }

  /** @returns whether it was unsettled until now; the first settlement counts */
  ack(delivery: D): boolean {
    if (!this.open.delete(delivery)) return false;
    this.acked.push(delivery);
    return true;
  }

  /** @returns whether it was unsettled until now */
  nack(delivery: D): boolean {
    if (!this.open.delete(delivery)) return false;
    this.nacked.push(delivery);
    return true;
  }

  /** Arrived and not settled, in the order of arrival. */
  unsettled(): D[] {
    return [...this.open];
  }

  flush(sink: AckSink<D>): void {
    for (const delivery of this.nacked) sink.nack(delivery);
    this.nacked.length = 0;
    const firstOpen = this.open.values().next().value?.tag ?? Number.POSITIVE_INFINITY;
    let finished = 0;
    let last: D | undefined;
    for (const delivery of this.acked) {
      if (delivery.tag > firstOpen) {
        sink.ack(delivery, false);
      } else {
        finished++;
        if (last === undefined || delivery.tag > last.tag) last = delivery;
      }
    }
    if (last !== undefined) sink.ack(last, finished > 1);
    this.acked.length = 0;
  }
}
