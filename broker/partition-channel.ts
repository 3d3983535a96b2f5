import type { PartitionChannel, Subscription, SubscriptionOptions } from "../core/job/broker.ts";
import type { ChannelSession } from "./channel-session.ts";
import type { SupervisedConnection } from "./connection.ts";
import { ConsumerChannel } from "./consumer-channel.ts";
import { Deadline, unavailable } from "./deadline.ts";
import type { ReceivedDelivery } from "./delivery.ts";
import type { LeaderProbe } from "./leader-probe.ts";
import type { BrokerSettings } from "./settings.ts";
import { QueueSubscription, type SubscriptionContext } from "./subscription.ts";
import type { Topology } from "./topology.ts";

export interface PartitionChannelOptions {
  readonly partition: string;
  /** Carries this channel. */
  readonly connection: SupervisedConnection;
  /** Declares the queues. */
  readonly main: SupervisedConnection;
  readonly topology: Topology;
  /** Is asked before anything is asked of a queue here. */
  readonly probe: LeaderProbe;
  readonly settings: BrokerSettings;
  /** It is closed, and its place on the connection free. */
  onClosed(): void;
}

/**
 * All consumers of one partition. They share one AMQP channel, except for queues whose consumer RabbitMQ has refused once
 * (somebody else consumes it exclusively, say): a refusal ends the channel, with all deliveries on it, so from then on such
 * a queue is tried on a channel of its own, for as long as this partition is open.
 */
export class AmqpPartitionChannel implements PartitionChannel {
  private readonly options: PartitionChannelOptions;
  private readonly context: SubscriptionContext;
  private readonly subscriptions = new Set<QueueSubscription>();
  private readonly unwatch: readonly (() => void)[];
  private readonly shared: ConsumerChannel;
  /** By queue. */
  private readonly apart = new Map<string, ConsumerChannel>();
  private closing: Promise<void> | undefined;

  constructor(options: PartitionChannelOptions) {
    const { connection, main, topology, probe, settings } = options;
    this.options = options;
    this.shared = this.makeChannel();
    this.context = {
      topology,
      probe,
      onEvent: settings.onEvent,
      channelFor: (brokerQueue) => this.apart.get(brokerQueue) ?? this.shared,
      canEnd: () => this.closing === undefined && connection.model !== undefined,
      canBegin: () => this.context.canEnd() && main.model !== undefined,
      onRefused: (brokerQueue) => {
        if (!this.apart.has(brokerQueue)) this.apart.set(brokerQueue, this.makeChannel());
      },
      onStopped: (subscription) => void this.subscriptions.delete(subscription),
    };
    const wakeAll = (): void => {
      for (const subscription of this.subscriptions) subscription.wake();
    };
    this.unwatch = [connection, main].map((each) => each.watch(wakeAll));
  }

  subscribe(options: SubscriptionOptions): Subscription {
    if (this.closing !== undefined) throw new Error(`the channel of ${this.options.partition} is closed`);
    const subscription = new QueueSubscription(options, this.context);
    this.subscriptions.add(subscription);
    subscription.wake();
    return subscription;
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  /** Closing a channel ends all its consumers: there is no need to wait for an answer to each. */
  private async shut(): Promise<void> {
    const { settings, partition, onClosed } = this.options;
    for (const unwatch of this.unwatch) unwatch();
    const lastRounds = Promise.all([...this.subscriptions].map((subscription) => subscription.close()));
    await Promise.all([this.shared, ...this.apart.values()].map((channel) => channel.close())); // what the rounds wait for fails with it
    try {
      await new Deadline(settings.closeDeadlineMs).within(lastRounds, `close the channel of ${partition}`);
    } catch (error) {
      // RabbitMQ is silent, or a queue is. The rounds end by their own deadlines, and can open nothing any more.
      settings.onEvent({ kind: "channel_lost", channel: partition, error: unavailable("close", error) });
    }
    onClosed();
  }

  private makeChannel(): ConsumerChannel {
    const { connection, settings, partition } = this.options;
    return new ConsumerChannel({ partition, connection, settings, onLost: (session, unsettled) => this.sessionLost(session, unsettled) });
  }

  private sessionLost(session: ChannelSession, unsettled: readonly ReceivedDelivery[]): void {
    for (const subscription of this.subscriptions) subscription.channelLost(session);
    // Also those of subscriptions that have stopped: their deliveries were valid until now.
    for (const [owner, deliveries] of Map.groupBy(unsettled, (delivery) => delivery.owner)) owner.lost(deliveries);
  }
}
