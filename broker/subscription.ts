import type { ConsumeMessage } from "amqplib";
import type { Subscription, SubscriptionOptions } from "../core/job/broker.ts";
import type { ChannelSession } from "./channel-session.ts";
import { ConvergeLoop } from "./converge-loop.ts";
import type { DeliveryOwner, ReceivedDelivery } from "./delivery.ts";
import type { BrokerListener } from "./events.ts";
import type { LeaderProbe } from "./leader-probe.ts";
import type { Topology } from "./topology.ts";

/** What a subscription needs of the partition channel that keeps it. */
export interface SubscriptionContext {
  readonly topology: Topology;
  readonly probe: LeaderProbe;
  /** All connections that a consumer needs are up. */
  isReachable(): boolean;
  readonly onEvent: BrokerListener;
  /** A round that begins now; resolves when it has ended. */
  wake(): Promise<void>;
  /** A round in a moment. */
  wakeLater(): void;
}

/** A consumer as RabbitMQ knows it. */
interface Consumer {
  readonly session: ChannelSession;
  readonly tag: string;
  readonly prefetch: number;
}

/** Consumers that one subscription may have at once. */
const MAX_CONSUMERS = 4;

/**
 * The wish to consume one queue, and how far RabbitMQ has followed it.
 *
 *   idle ── consume ──> consuming ── cancel, cancelled by the broker, channel lost ──> idle
 *
 * `setPrefetch` and `stop` only change the wish; `end` and `begin` move RabbitMQ towards it, called by the partition's
 * loop, never two at once. Each such move must be admitted first: the queue is there, has started and has answered, on
 * another connection. One that does not answer is asked again and again, by a loop of its own; its siblings, their
 * channel and their loop never meet it. What is left is a leader that is lost between its answer and the move.
 *
 * AMQP cannot change the prefetch of a consumer, and to cancel one is not free: what a quorum queue had on its way to it
 * comes again as a redelivery. So to raise is to add a consumer for the difference; to lower is to cancel the newest
 * ones and add what is then too little. What a cancelled consumer delivered stays valid.
 */
export class QueueSubscription implements Subscription, DeliveryOwner {
  readonly brokerQueue: string;
  private readonly options: SubscriptionOptions;
  private readonly context: SubscriptionContext;
  private prefetch: number;
  private stopping = false;
  private readonly admission: ConvergeLoop;
  /** One move may be made. */
  private admitted = false;
  /** The queue did not answer when it was asked last, or was moved last. */
  private suspect = false;
  private consumers: readonly Consumer[] = [];
  /** Came between the wish to stop and the end of the consumer. Handed back after it: before, they would come again at once. */
  private late: ReceivedDelivery[] = [];

  constructor(options: SubscriptionOptions, context: SubscriptionContext) {
    this.brokerQueue = options.brokerQueue;
    this.options = options;
    this.context = context;
    this.prefetch = checkedPrefetch(options.prefetch);
    this.admission = new ConvergeLoop({
      converge: () => this.admit(),
      onRetry: (error, delayMs) => context.onEvent({ kind: "retrying", what: `the consumer of ${this.brokerQueue}`, error, delayMs }),
    });
  }

  /** n.b. after it was lowered, what the old consumers delivered may be in our hands beside what the new prefetch allows. */
  setPrefetch(prefetch: number): Promise<void> {
    this.prefetch = checkedPrefetch(prefetch);
    return this.follow();
  }

  stop(): Promise<void> {
    this.halt();
    return this.follow();
  }

  /** From now on nothing is handed on; whoever calls it sees to the rest. */
  halt(): void {
    this.stopping = true;
  }

  /** The partition's channel closes: nothing is asked for any more. */
  close(): void {
    this.halt();
    void this.admission.stop(); // a question that is under way ends by its deadline, and moves nothing
  }

  /** RabbitMQ does as we wish. */
  get met(): boolean {
    return this.allowed === (this.stopping ? 0 : this.prefetch);
  }

  get isStopping(): boolean {
    return this.stopping;
  }

  /** Whether `end` and `begin` ask nothing of a queue that has not answered. */
  get mayMove(): boolean {
    return this.admitted || this.met;
  }

  /** Has the queue asked, by and by; the partition's loop is woken once it has answered. */
  seekAdmission(): void {
    void this.admission.wake();
  }

  /** First half of a move: no consumer, and nothing that came too late. @throws BrokerUnavailable */
  async end(): Promise<void> {
    await this.move(() => this.lower(0));
    for (const delivery of this.late) delivery.nack();
    this.late = [];
  }

  /** The move to the prefetch wished for; the queue is there. @throws BrokerUnavailable */
  async begin(session: ChannelSession): Promise<void> {
    if (this.stopping) return; // the next round ends it
    await this.move(async () => {
      if (this.allowed < this.prefetch && this.consumers.length === MAX_CONSUMERS) await this.lower(0);
      await this.lower(this.prefetch);
      if (this.allowed < this.prefetch) await this.raise(session);
    });
  }

  /** The channel is gone, and its consumers with it. */
  channelLost(session: ChannelSession): void {
    this.consumers = this.consumers.filter((consumer) => consumer.session !== session);
  }

  lost(deliveries: readonly ReceivedDelivery[]): void {
    const handedOn = deliveries.filter((delivery) => !this.late.includes(delivery));
    this.late = this.late.filter((delivery) => !delivery.lost);
    if (handedOn.length === 0) return;
    try {
      this.options.onLost(handedOn);
    } catch (error) {
      this.context.onEvent({ kind: "listener_failed", listener: "onLost", error });
    }
  }

  /** What the consumers of now may have in our hands together. */
  private get allowed(): number {
    return this.consumers.reduce((sum, consumer) => sum + consumer.prefetch, 0);
  }

  /**
   * Resolves once RabbitMQ has followed the wish, or can't: then the loops go on by themselves. Two passes, for the first
   * admission may have gone to the wish before this one, which was being followed when this one came.
   */
  private async follow(): Promise<void> {
    if (this.met) return await this.context.wake();
    for (let pass = 0; pass < 2 && !this.met; pass++) {
      await this.admission.wake();
      if (this.isStuck) return;
      await this.context.wake();
      if (this.isStuck) return;
    }
  }

  private get isStuck(): boolean {
    return this.suspect || !this.context.isReachable();
  }

  private async admit(): Promise<void> {
    const { topology, probe, isReachable, wake } = this.context;
    if (this.admitted || this.met || !isReachable()) return;
    try {
      if (!this.stopping) await topology.ensureSettled(this.brokerQueue);
      await probe.ask(this.brokerQueue, this.suspect);
    } catch (error) {
      this.failed();
      throw error;
    }
    this.suspect = false;
    this.admitted = true;
    void wake();
  }

  /** One move for each admission, however it ends. */
  private async move(towards: () => Promise<void>): Promise<void> {
    this.admitted = false;
    try {
      await towards();
    } catch (error) {
      this.failed();
      throw error;
    }
  }

  private failed(): void {
    this.context.topology.forget(this.brokerQueue); // it may be that the queue is gone
    if (this.context.isReachable()) this.suspect = true;
  }

  private async raise(session: ChannelSession): Promise<void> {
    const { channel } = session;
    const consumer: Consumer = { session, tag: session.nextConsumerTag(), prefetch: this.prefetch - this.allowed };
    await session.answer(channel.prefetch(consumer.prefetch, false), `set the prefetch of ${this.brokerQueue}`);
    if (session.lost || this.stopping) return; // the next round sees to it
    // Before the answer: deliveries and a cancel by the broker may come in the same breath with it.
    this.consumers = [...this.consumers, consumer];
    const consuming = channel.consume(this.brokerQueue, (message) => this.receive(consumer, message), { consumerTag: consumer.tag });
    await session.answer(consuming, `consume ${this.brokerQueue}`);
  }

  /** Cancels the newest consumers until no more than `prefetch` is allowed. */
  private async lower(prefetch: number): Promise<void> {
    while (this.allowed > prefetch) {
      const newest = this.consumers.at(-1);
      if (newest === undefined) return;
      await newest.session.answer(newest.session.channel.cancel(newest.tag), `cancel a consumer of ${this.brokerQueue}`);
      this.drop(newest);
    }
  }

  private drop(gone: Consumer): void {
    this.consumers = this.consumers.filter((consumer) => consumer !== gone);
  }

  private receive(consumer: Consumer, message: ConsumeMessage | null): void {
    if (message === null) {
      this.cancelledByBroker(consumer);
      return;
    }
    const delivery = consumer.session.receive(message, this);
    if (this.stopping) this.late.push(delivery);
    else this.handOn(delivery);
  }

  private handOn(delivery: ReceivedDelivery): void {
    try {
      this.options.onDelivery(delivery);
    } catch (error) {
      this.context.onEvent({ kind: "listener_failed", listener: "onDelivery", error });
      delivery.nack(); // nobody has it: back to the queue, rather than in nobody's hands for as long as the channel lives
    }
  }

  private cancelledByBroker(consumer: Consumer): void {
    this.context.topology.forget(this.brokerQueue);
    this.drop(consumer);
    this.context.onEvent({ kind: "consumer_cancelled", brokerQueue: this.brokerQueue });
    this.context.wakeLater();
  }
}

/** @throws RangeError: 0 would mean "no bound" to RabbitMQ, and it has 16 bits for it */
function checkedPrefetch(prefetch: number): number {
  if (!Number.isInteger(prefetch) || prefetch < 1 || prefetch > 65_535) throw new RangeError(`prefetch ${prefetch}: a whole number from 1 to 65535`);
  return prefetch;
}
