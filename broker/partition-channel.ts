import { BrokerUnavailable } from "../core/contract/errors.ts";
import type { PartitionChannel, Subscription, SubscriptionOptions } from "../core/job/broker.ts";
import { closeChannel, openChannel } from "./channel.ts";
import { ChannelSession } from "./channel-session.ts";
import type { SupervisedConnection } from "./connection.ts";
import { ConvergeLoop } from "./converge-loop.ts";
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
  /** Is asked before this channel asks anything of a queue. */
  readonly probe: LeaderProbe;
  readonly settings: BrokerSettings;
  /** It is closed, and its place on the connection free. */
  onClosed(): void;
}

/**
 * All consumers of one partition, on one AMQP channel that is opened when the first of them needs it and again after
 * each loss. One loop does all that is asked of RabbitMQ on it, in order; subscriptions only say what they wish. A queue
 * comes to the loop once it has answered elsewhere: one that is missing, has no leader or starts slowly keeps nobody waiting.
 */
export class AmqpPartitionChannel implements PartitionChannel {
  private readonly options: PartitionChannelOptions;
  private readonly loop: ConvergeLoop;
  private readonly context: SubscriptionContext;
  private readonly subscriptions = new Set<QueueSubscription>();
  private readonly unwatch: readonly (() => void)[];
  private session: ChannelSession | undefined;
  private lastError: Error | undefined;
  private closing: Promise<void> | undefined;

  constructor(options: PartitionChannelOptions) {
    const { connection, main, topology, probe, settings, partition } = options;
    this.options = options;
    this.loop = new ConvergeLoop({
      converge: () => this.converge(),
      onRetry: (error, delayMs) => settings.onEvent({ kind: "retrying", what: `the consumers of ${partition}`, error, delayMs }),
    });
    this.context = {
      topology,
      probe,
      isReachable: () => this.isReachable,
      onEvent: settings.onEvent,
      wake: () => this.loop.wake(),
      wakeLater: () => void this.loop.wakeLater(),
    };
    this.unwatch = [connection, main].map((each) => each.watch(() => void this.loop.wake()));
  }

  subscribe(options: SubscriptionOptions): Subscription {
    if (this.closing !== undefined) throw new Error(`the channel of ${this.options.partition} is closed`);
    const subscription = new QueueSubscription(options, this.context);
    this.subscriptions.add(subscription);
    void this.loop.wake();
    return subscription;
  }

  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  /** Closing the channel ends all its consumers: there is no need to wait for an answer to each. */
  private async shut(): Promise<void> {
    const { settings, partition, onClosed } = this.options;
    for (const subscription of this.subscriptions) subscription.close();
    for (const unwatch of this.unwatch) unwatch();
    const lastRound = this.loop.stop();
    await this.session?.close(); // what the round waits for fails with it
    try {
      await new Deadline(settings.closeDeadlineMs).within(lastRound, `close the channel of ${partition}`);
    } catch (error) {
      // RabbitMQ is silent. The round ends by its own deadlines, and can open nothing any more.
      settings.onEvent({ kind: "channel_lost", channel: partition, error: unavailable("close", error) });
    }
    onClosed();
  }

  private get isReachable(): boolean {
    const { connection, main } = this.options;
    return connection.model !== undefined && main.model !== undefined;
  }

  /**
   * One round: what shall stop first, for somebody waits for it; then the queues that lack a consumer are consumed. Those
   * that have not answered yet are asked meanwhile, and make a round of their own. A queue that fails does not keep the
   * others waiting; a channel that cannot be opened ends the round. While a connection is away nothing can be asked for,
   * and its return wakes the loop.
   */
  private async converge(): Promise<void> {
    const failures: unknown[] = [];
    const attempt = (step: Promise<void>): Promise<void> =>
      step.catch((error: unknown) => {
        failures.push(error); // thrown at the end of the round
      });
    for (const subscription of this.subscriptions) {
      if (!subscription.isStopping) continue;
      if (subscription.mayMove) await attempt(subscription.end());
      else subscription.seekAdmission();
      if (subscription.met) this.subscriptions.delete(subscription);
    }
    if (!this.isReachable) return;
    const lacking = [...this.subscriptions].filter((subscription) => !subscription.met);
    for (const subscription of lacking.filter(({ mayMove }) => !mayMove)) subscription.seekAdmission();
    for (const subscription of lacking.filter(({ mayMove }) => mayMove)) {
      const session = await this.openSession();
      await attempt(subscription.begin(session));
    }
    if (failures.length > 0) throw failures[0];
  }

  private async openSession(): Promise<ChannelSession> {
    if (this.session !== undefined) return this.session;
    const { connection, settings, partition } = this.options;
    const { model } = connection;
    if (model === undefined) throw new BrokerUnavailable("not connected to RabbitMQ");
    const channel = await openChannel(model.createChannel(), new Deadline(settings.rpcDeadlineMs), (error) => {
      this.lastError = error;
    });
    if (connection.model !== model) throw new BrokerUnavailable(`the connection was lost while the channel of ${partition} was opened`);
    if (this.closing !== undefined) {
      await closeChannel(channel);
      throw new BrokerUnavailable(`the channel of ${partition} is closed`);
    }
    this.lastError = undefined;
    this.session = new ChannelSession(channel, { rpcDeadlineMs: settings.rpcDeadlineMs, onLost: (...loss) => this.sessionLost(...loss) });
    return this.session;
  }

  private sessionLost(session: ChannelSession, unsettled: readonly ReceivedDelivery[], error: Error | undefined): void {
    if (this.session === session) this.session = undefined;
    for (const subscription of this.subscriptions) subscription.channelLost(session);
    // Also those of subscriptions that have stopped: their deliveries were valid until now.
    for (const [owner, deliveries] of Map.groupBy(unsettled, (delivery) => delivery.owner)) owner.lost(deliveries);
    if (this.closing !== undefined) return;
    const { settings, partition } = this.options;
    const cause = error ?? this.lastError;
    if (cause !== undefined) settings.onEvent({ kind: "channel_lost", channel: partition, error: cause });
    this.loop.wakeLater();
  }
}
