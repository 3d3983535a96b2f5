import type { Channel } from "amqplib";
import type { QueueAdmin } from "../core/job/broker.ts";
import { withChannel } from "./channel.ts";
import type { SupervisedConnection } from "./connection.ts";
import { Deadline, replyCode } from "./deadline.ts";
import type { BrokerSettings } from "./settings.ts";
import { NOT_FOUND, type Topology } from "./topology.ts";

/** Each question on a channel of its own: "no such queue" ends a channel. All throw BrokerUnavailable. */
export class AmqpQueueAdmin implements QueueAdmin {
  private readonly connection: SupervisedConnection;
  private readonly topology: Topology;
  private readonly settings: BrokerSettings;

  constructor(connection: SupervisedConnection, topology: Topology, settings: BrokerSettings) {
    this.connection = connection;
    this.topology = topology;
    this.settings = settings;
  }

  async ensure(brokerQueue: string): Promise<void> {
    const deadline = new Deadline(this.settings.rpcDeadlineMs);
    await this.connection.ready(deadline);
    await deadline.within(this.topology.ensure(brokerQueue), `declare ${brokerQueue}`);
  }

  depth(brokerQueue: string): Promise<number | undefined> {
    return this.ask(`count ${brokerQueue}`, async (channel) => (await channel.checkQueue(brokerQueue)).messageCount);
  }

  purge(brokerQueue: string): Promise<number | undefined> {
    return this.ask(`purge ${brokerQueue}`, async (channel) => (await channel.purgeQueue(brokerQueue)).messageCount);
  }

  peek(brokerQueue: string, limit: number): Promise<Buffer[] | undefined> {
    return this.ask(`peek at ${brokerQueue}`, async (channel) => {
      const bodies: Buffer[] = [];
      while (bodies.length < limit) {
        const message = await channel.get(brokerQueue, { noAck: false });
        if (message === false) break;
        bodies.push(message.content);
      }
      return bodies; // none is acked: closing the channel puts them back
    });
  }

  async remove(brokerQueue: string): Promise<void> {
    await this.ask(`remove ${brokerQueue}`, (channel) => channel.deleteQueue(brokerQueue));
    this.topology.forget(brokerQueue);
  }

  private async ask<T>(what: string, work: (channel: Channel) => Promise<T>): Promise<T | undefined> {
    try {
      return await withChannel(this.connection, this.settings.rpcDeadlineMs, what, work);
    } catch (error) {
      if (replyCode(error) === NOT_FOUND) return undefined;
      throw error;
    }
  }
}
