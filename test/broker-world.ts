import { randomUUID } from "node:crypto";
import { type Channel, connect } from "amqplib";
import { inject } from "vitest";
import { type AmqpBroker, openBroker } from "../broker/broker.ts";
import type { BrokerEvent } from "../broker/events.ts";
import type { BrokerOptions } from "../broker/settings.ts";
import { brokerQueue } from "../core/contract/names.ts";
import type { Delivery, OutgoingJob, SubscriptionOptions } from "../core/job/broker.ts";
import { TcpProxy } from "./proxy.ts";

/** The world of one test of the broker room: queues nobody else uses, and everything ended afterwards. */
export class BrokerWorld {
  readonly partition = `t${randomUUID().slice(0, 8)}`;
  readonly events: BrokerEvent[] = [];
  private readonly releases: (() => Promise<unknown>)[] = [];
  private readonly queues: string[] = [];

  /** A started broker; connected, unless it was pointed at something else than the test's RabbitMQ. */
  async broker(options: Partial<BrokerOptions> = {}): Promise<AmqpBroker> {
    const broker = openBroker({ url: inject("amqpUrl"), name: `test ${this.partition}`, onEvent: (event) => this.events.push(event), ...options });
    this.releases.push(() => broker.stop());
    await broker.start();
    return broker;
  }

  async proxy(): Promise<TcpProxy> {
    const proxy = await TcpProxy.listen(inject("amqpUrl"));
    this.releases.push(() => proxy.close());
    return proxy;
  }

  /** A channel of bare amqplib, to look at RabbitMQ from outside. */
  async channel(): Promise<Channel> {
    const connection = await connect(inject("amqpUrl"), { noDelay: true });
    this.releases.push(() => connection.close());
    const channel = await connection.createChannel();
    channel.on("error", () => undefined); // what is asked of it rejects as well
    return channel;
  }

  /** The name of a queue that does not exist yet. */
  queue(type = "default", partition = this.partition): string {
    const name = brokerQueue(partition, type);
    this.queues.push(name);
    return name;
  }

  seen(kind: BrokerEvent["kind"]): BrokerEvent[] {
    return this.events.filter((event) => event.kind === kind);
  }

  async close(): Promise<void> {
    for (const release of this.releases.splice(0).toReversed()) await release();
    if (this.queues.length === 0) return;
    const connection = await connect(inject("amqpUrl"));
    const channel = await connection.createChannel();
    for (const queue of this.queues.splice(0)) await channel.deleteQueue(queue);
    await connection.close();
  }
}

/** Collects what a subscription hands on. */
export class Inbox {
  readonly deliveries: Delivery[] = [];
  readonly losses: (readonly Delivery[])[] = [];

  /** @param each done with a delivery after it was noted */
  wish(queue: string, prefetch: number, each: (delivery: Delivery) => void = () => undefined): SubscriptionOptions {
    return {
      brokerQueue: queue,
      prefetch,
      onDelivery: (delivery) => {
        this.deliveries.push(delivery);
        each(delivery);
      },
      onLost: (deliveries) => this.losses.push(deliveries),
    };
  }

  get bodies(): string[] {
    return this.deliveries.map((delivery) => delivery.body.toString());
  }
}

export function outgoing(queue: string, body: string, id: string = randomUUID()): OutgoingJob {
  return { brokerQueue: queue, partition: queue.slice(0, queue.lastIndexOf("-")), id, body };
}
