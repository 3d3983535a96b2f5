import type { ConsumeMessage } from "amqplib";
import { systemClock } from "../core/contract/clock.ts";
import { BrokerUnavailable } from "../core/contract/errors.ts";
import type { Subscription, SubscriptionOptions } from "../core/job/broker.ts";
import type { ChannelSession } from "./channel-session.ts";
import type { ConsumerChannel } from "./consumer-channel.ts";
import { ConvergeLoop } from "./converge-loop.ts";
import { isRefusal } from "./deadline.ts";
import type { DeliveryOwner, ReceivedDelivery } from "./delivery.ts";
import type { BrokerListener } from "./events.ts";
import type { LeaderProbe } from "./leader-probe.ts";
import type { Topology } from "./topology.ts";

/** What a subscription needs of the partition channel that keeps it. */
export interface SubscriptionContext {
  readonly topology: Topology;
  readonly probe: LeaderProbe;
  readonly onEvent: BrokerListener;
  /** Where the queue's consumers are. */
  channelFor(brokerQueue: string): ConsumerChannel;
  /** The connection that carries consumers is up. */
  canEnd(): boolean;
  /** And so is the one that declares queues. */
  canBegin(): boolean;
  /** RabbitMQ has refused what was asked of the queue, and so ended the channel. */
  onRefused(brokerQueue: string): void;
  /** It has no consumer, and will never have one again. */
  onStopped(subscription: QueueSubscription): void;
}

/** A consumer as RabbitMQ knows it. */
interface Consumer {
  readonly session: ChannelSession;
  readonly tag: string;
  readonly prefetch: number;
}

/** Consumers that one subscription may have at once. */
const MAX_CONSUMERS = 4;
/** A queue that answered longer ago than this is asked again before it is moved. */
const FRESH_MS = 1_000;
/** Steps that one round takes towards the wish; then it counts as failed, and the next one comes later. */
const MAX_STEPS = 5;

/**
 * The wish to consume one queue, and how far RabbitMQ has followed it.
 *
 *   idle ── consume ──> consuming ── cancel, cancelled by the broker, channel lost ──> idle
 *
 * `setPrefetch` and `stop` only change the wish; a loop of the subscription's own moves RabbitMQ towards it, step by step:
 *
 * | step | it fails, or the connection is lost | the process dies |
 * |---|---|---|
 * | 1. the queue is there and has started (not to stop) | the next round, by and by; nothing was asked of its siblings' channel | the queue is there |
 * | 2. it has answered, on another connection | the same, and without an answer it is a suspect | – |
 * | 3. the channel is ours, and the answer fresh; else back to 1 | | – |
 * | 4. cancel, or open the channel and consume | refused: the channel is lost, and the queue gets one of its own; no answer: lost, and a suspect | RabbitMQ has all back |
 *
 * So a queue that does not answer is asked again and again, at growing intervals of its own, and its siblings and their
 * channel never meet it. What is left is a leader that is lost between its answer and the move.
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
  private readonly loop: ConvergeLoop;
  private consumers: readonly Consumer[] = [];
  /** Came between the wish to stop and the end of the consumer. Handed back after it: before, they would come again at once. */
  private late: ReceivedDelivery[] = [];

  constructor(options: SubscriptionOptions, context: SubscriptionContext) {
    this.brokerQueue = options.brokerQueue;
    this.options = options;
    this.context = context;
    this.prefetch = checkedPrefetch(options.prefetch);
    this.loop = new ConvergeLoop({
      converge: () => this.converge(),
      onRetry: (error, delayMs) => context.onEvent({ kind: "retrying", what: `the consumer of ${this.brokerQueue}`, error, delayMs }),
    });
  }

  /** n.b. after it was lowered, what the old consumers delivered may be in our hands beside what the new prefetch allows. */
  setPrefetch(prefetch: number): Promise<void> {
    this.prefetch = checkedPrefetch(prefetch);
    return this.loop.wake();
  }

  stop(): Promise<void> {
    this.stopping = true; // from now on nothing is handed on
    return this.loop.wake();
  }

  /** Looks again: a connection came or went. */
  wake(): void {
    void this.loop.wake();
  }

  /** The partition's channels close: nothing is asked for any more. Resolves when what was being asked has come to its end. */
  close(): Promise<void> {
    this.stopping = true;
    return this.loop.stop();
  }

  /** The channel is gone, and its consumers with it. */
  channelLost(session: ChannelSession): void {
    const left = this.consumers.filter((consumer) => consumer.session !== session);
    if (left.length === this.consumers.length) return;
    this.consumers = left;
    this.loop.wakeLater();
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

  private get wanted(): number {
    return this.stopping ? 0 : this.prefetch;
  }

  private get canMove(): boolean {
    return this.stopping ? this.context.canEnd() : this.context.canBegin();
  }

  /** One round. While a connection is away nothing can be asked for, and its return wakes the loop. */
  private async converge(): Promise<void> {
    for (let steps = 0; this.allowed !== this.wanted && this.canMove; steps++) {
      if (steps === MAX_STEPS) throw new BrokerUnavailable(`${this.brokerQueue}: RabbitMQ does not keep up with what is wished for`);
      await this.step();
    }
    if (this.stopping && this.allowed === 0) this.stopped();
  }

  private async step(): Promise<void> {
    const { topology, probe, channelFor } = this.context;
    if (!this.stopping) await topology.ensureSettled(this.brokerQueue);
    if (!(await probe.ask(this.brokerQueue)) && !this.stopping) {
      topology.forget(this.brokerQueue); // it was there a moment ago: the next step declares it
      return;
    }
    const answeredAt = systemClock.monotonic();
    const channel = channelFor(this.brokerQueue);
    await channel.inTurn(async () => {
      if (systemClock.monotonic() - answeredAt > FRESH_MS) return;
      if (this.allowed < this.wanted && this.consumers.length === MAX_CONSUMERS) await this.lower(0);
      await this.lower(this.wanted);
      if (this.allowed < this.wanted) await this.raise(await channel.open());
    });
  }

  private stopped(): void {
    for (const delivery of this.late) delivery.nack();
    this.late = [];
    this.context.onStopped(this);
  }

  /** Asks what RabbitMQ does within the queue. @throws BrokerUnavailable */
  private async move(session: ChannelSession, asked: Promise<unknown>, what: string): Promise<void> {
    const { topology, probe, onRefused } = this.context;
    try {
      await session.answer(asked, `${what} ${this.brokerQueue}`);
    } catch (error) {
      topology.forget(this.brokerQueue); // it may be that the queue is gone
      if (isRefusal(error)) onRefused(this.brokerQueue);
      else if (this.canMove) probe.doubt(this.brokerQueue); // a connection that is lost says nothing of the queue
      throw error;
    }
  }

  private async raise(session: ChannelSession): Promise<void> {
    const { channel } = session;
    const consumer: Consumer = { session, tag: session.nextConsumerTag(), prefetch: this.wanted - this.allowed };
    await session.answer(channel.prefetch(consumer.prefetch, false), `set the prefetch of ${this.brokerQueue}`);
    if (session.lost || this.stopping) return; // the next step sees to it
    // Before the answer: deliveries and a cancel by the broker may come in the same breath with it.
    this.consumers = [...this.consumers, consumer];
    const consuming = channel.consume(this.brokerQueue, (message) => this.receive(consumer, message), { consumerTag: consumer.tag });
    await this.move(session, consuming, "consume");
  }

  /** Cancels the newest consumers until no more than `prefetch` is allowed. */
  private async lower(prefetch: number): Promise<void> {
    while (this.allowed > prefetch) {
      const newest = this.consumers.at(-1);
      if (newest === undefined) return;
      const { session, tag } = newest;
      await this.move(session, session.channel.cancel(tag), "cancel a consumer of");
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
    this.loop.wakeLater();
  }
}

/** @throws RangeError: 0 would mean "no bound" to RabbitMQ, and it has 16 bits for it */
function checkedPrefetch(prefetch: number): number {
  if (!Number.isInteger(prefetch) || prefetch < 1 || prefetch > 65_535) throw new RangeError(`prefetch ${prefetch}: a whole number from 1 to 65535`);
  return prefetch;
}
