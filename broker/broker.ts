import { BrokerUnavailable } from "../core/contract/errors.ts";
import type { Broker, JobPublisher, PartitionChannel } from "../core/job/broker.ts";
import { AskingPublisher, settingsAfterAsking } from "./asking-publisher.ts";
import { SupervisedConnection } from "./connection.ts";
import { ConsumerConnections } from "./consumer-connections.ts";
import { LeaderProbe } from "./leader-probe.ts";
import { AmqpPartitionChannel } from "./partition-channel.ts";
import { AmqpPublisher } from "./publisher.ts";
import { AmqpQueueAdmin } from "./queue-admin.ts";
import { type BrokerOptions, type BrokerSettings, brokerSettings } from "./settings.ts";
import { Topology } from "./topology.ts";

/**
 * Connects nothing yet: `start` does, and resolves without waiting for RabbitMQ, which may be away at the time.
 * `stop` ends subscriptions, sends the acks that wait, closes channels, then connections.
 * @throws InvalidInput when the URL is none
 */
export function openBroker(options: BrokerOptions): AmqpBroker {
  return new AmqpBroker(brokerSettings(options));
}

export class AmqpBroker implements Broker {
  readonly publisher: JobPublisher;
  readonly admin: AmqpQueueAdmin;
  private readonly settings: BrokerSettings;
  private readonly topology: Topology;
  private readonly confirms: AmqpPublisher;
  /** Publishes, declares and asks. */
  private readonly main: SupervisedConnection;
  private readonly consumers: ConsumerConnections;
  private readonly probe: LeaderProbe;
  private readonly partitions = new Set<AmqpPartitionChannel>();
  private readonly listeners = new Set<(connected: boolean) => void>();
  private lastConnected = false;
  private stopping: Promise<void> | undefined;

  constructor(settings: BrokerSettings) {
    this.settings = settings;
    this.main = new SupervisedConnection(settings.name, settings);
    this.topology = new Topology(this.main, settings);
    this.probe = new LeaderProbe(settings, this.main);
    const asks = settings.asksBeforePublish;
    const forget = (brokerQueue: string): void => this.topology.forget(brokerQueue);
    this.confirms = new AmqpPublisher(this.main, asks ? settingsAfterAsking(settings) : settings, forget);
    this.publisher = asks ? new AskingPublisher(this.confirms, this.probe, settings) : this.confirms;
    this.admin = new AmqpQueueAdmin(this.main, this.topology, settings);
    this.consumers = new ConsumerConnections(settings, (connection) => {
      connection.watch(() => this.connectionChanged());
      void connection.start();
      this.connectionChanged();
    });
    this.main.watch(() => this.connectionChanged());
  }

  /**
   * Every connection that jobs come and go by is up. RabbitMQ ends the probe's because of a single queue, and one that can't be
   * had is done without: that one does not count.
   */
  get connected(): boolean {
    return [this.main, ...this.consumers.all].every((connection) => connection.model !== undefined);
  }

  get takesMessages(): boolean {
    return this.main.model !== undefined && this.main.blocked === undefined;
  }

  start(): Promise<void> {
    return this.main.start();
  }

  stop(): Promise<void> {
    this.stopping ??= this.close();
    return this.stopping;
  }

  partition(id: string): PartitionChannel {
    if (this.stopping !== undefined) throw new BrokerUnavailable("the broker is closed");
    const { main, topology, probe, settings } = this;
    const connection = this.consumers.take();
    const onClosed = (): void => {
      this.partitions.delete(channel);
      this.consumers.release(connection);
    };
    const channel = new AmqpPartitionChannel({ partition: id, connection, main, topology, probe, settings, onClosed });
    this.partitions.add(channel);
    return channel;
  }

  /** Calls `listener` when `connected` has changed. @returns how to end that */
  onConnection(listener: (connected: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private async close(): Promise<void> {
    await Promise.all([...this.partitions].map((channel) => channel.close()));
    await this.confirms.close();
    await Promise.all([this.main, this.probe, ...this.consumers.all].map((connection) => connection.stop()));
  }

  private connectionChanged(): void {
    const { connected } = this;
    if (connected === this.lastConnected) return;
    this.lastConnected = connected;
    for (const listener of [...this.listeners]) {
      try {
        listener(connected);
      } catch (error) {
        this.settings.onEvent({ kind: "listener_failed", listener: "onConnection", error });
      }
    }
  }
}
