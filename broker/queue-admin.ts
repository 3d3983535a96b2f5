import { setTimeout as wait } from "node:timers/promises";
import type { Channel } from "amqplib";
import type { MessageTaker, QueueAdmin, TakeOptions } from "../core/job/broker.ts";
import { withChannel } from "./channel.ts";
import type { SupervisedConnection } from "./connection.ts";
import { Deadline, replyCode } from "./deadline.ts";
import { QuestionChannels } from "./question-channels.ts";
import type { BrokerSettings } from "./settings.ts";
import { takeMessages } from "./take.ts";
import { NOT_FOUND, type Topology } from "./topology.ts";

/** Queues that a task counts at a time. */
const COUNTS_AT_ONCE = 8;

/** How often and with which pause it is asked whether messages are back. */
const PUT_BACK = { looks: 20, pauseMs: 50 } as const;

/**
 * Whatever takes or shows messages does so on a channel of its own; a count, asked of thousands of queues again and again,
 * shares channels with other counts. All throw BrokerUnavailable.
 */
export class AmqpQueueAdmin implements QueueAdmin, MessageTaker {
  private readonly connection: SupervisedConnection;
  private readonly topology: Topology;
  private readonly settings: BrokerSettings;
  private readonly questions: QuestionChannels;

  constructor(connection: SupervisedConnection, topology: Topology, settings: BrokerSettings) {
    this.connection = connection;
    this.topology = topology;
    this.settings = settings;
    this.questions = new QuestionChannels(connection, { deadlineMs: settings.rpcDeadlineMs, kept: COUNTS_AT_ONCE });
  }

  async ensure(brokerQueue: string): Promise<void> {
    const deadline = new Deadline(this.settings.rpcDeadlineMs);
    await this.connection.ready(deadline);
    await deadline.within(this.topology.ensure(brokerQueue), `declare ${brokerQueue}`);
  }

  depth(brokerQueue: string): Promise<number | undefined> {
    return unlessMissing(this.questions.ask(`count ${brokerQueue}`, async (channel) => (await channel.checkQueue(brokerQueue)).messageCount));
  }

  purge(brokerQueue: string): Promise<number | undefined> {
    return this.ask(`purge ${brokerQueue}`, async (channel) => (await channel.purgeQueue(brokerQueue)).messageCount);
  }

  async peek(brokerQueue: string, limit: number): Promise<Buffer[] | undefined> {
    const shown = await this.ask(`peek at ${brokerQueue}`, async (channel) => {
      const bodies: Buffer[] = [];
      while (bodies.length < limit) {
        const message = await channel.get(brokerQueue, { noAck: false });
        if (message === false) break;
        bodies.push(message.content);
      }
      return bodies; // none is acked: closing the channel puts them back
    });
    if (shown !== undefined) await this.putBack(brokerQueue, shown.length);
    return shown;
  }

  /**
   * RabbitMQ puts messages back a moment after it has said that their channel is closed: whoever purges or counts next must
   * meet them. Waits for no longer than a moment, since a consumer may have taken them already.
   */
  private async putBack(brokerQueue: string, count: number): Promise<void> {
    for (let looks = 0; looks < PUT_BACK.looks; looks++) {
      if (((await this.depth(brokerQueue)) ?? count) >= count) return;
      await wait(PUT_BACK.pauseMs);
    }
  }

  async take(brokerQueue: string, options: TakeOptions): Promise<number | undefined> {
    let refused: { readonly error: unknown } | undefined;
    const settle = async (body: Buffer): Promise<boolean> => {
      try {
        return await options.settle(body);
      } catch (error) {
        refused ??= { error };
        throw error;
      }
    };
    const work = (channel: Channel): Promise<number> => takeMessages(channel, brokerQueue, { ...options, settle });
    try {
      // The time that messages may take is not for waiting on a RabbitMQ that is away.
      await this.connection.ready(new Deadline(this.settings.rpcDeadlineMs));
      return await this.ask(`take from ${brokerQueue}`, work, this.settings.rpcDeadlineMs + options.withinMs);
    } catch (error) {
      // Not RabbitMQ's failure: its caller's own.
      throw refused === undefined ? error : refused.error;
    }
  }

  async remove(brokerQueue: string): Promise<void> {
    await this.ask(`remove ${brokerQueue}`, (channel) => channel.deleteQueue(brokerQueue));
    this.topology.forget(brokerQueue);
  }

  private ask<T>(what: string, work: (channel: Channel) => Promise<T>, deadlineMs: number = this.settings.rpcDeadlineMs): Promise<T | undefined> {
    return unlessMissing(withChannel(this.connection, deadlineMs, what, work));
  }
}

/** `undefined` when RabbitMQ says that there is no such queue. */
async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (replyCode(error) === NOT_FOUND) return undefined;
    throw error;
  }
}
