import type { Channel, ChannelModel } from "amqplib";
import { closeChannel, openChannel } from "./channel.ts";
import type { SupervisedConnection } from "./connection.ts";
import { Deadline } from "./deadline.ts";

/** Channels kept open between two questions: as many as a task asks at a time. */
const KEPT = 8;

/**
 * Channels for questions that leave nothing behind on them, such as "how many messages?": to open and close one costs
 * several times what the question does. One question at a time on each; one that fails, or comes to no answer, takes its
 * channel with it ("no such queue" ends a channel), so that nobody meets an answer that was another's.
 */
export class QuestionChannels {
  private readonly connection: SupervisedConnection;
  private readonly deadlineMs: number;
  private idle: Channel[] = [];
  /** The connection that `idle` belong to. */
  private model: ChannelModel | undefined;

  constructor(connection: SupervisedConnection, deadlineMs: number) {
    this.connection = connection;
    this.deadlineMs = deadlineMs;
  }

  /** @throws BrokerUnavailable when it fails or is not done before the deadline */
  async ask<T>(what: string, question: (channel: Channel) => Promise<T>): Promise<T> {
    const deadline = new Deadline(this.deadlineMs);
    const model = await this.connection.ready(deadline);
    const channel = this.take(model) ?? (await this.open(model, deadline));
    try {
      const answer = await deadline.within(question(channel), what);
      this.keep(channel, model);
      return answer;
    } catch (error) {
      void closeChannel(channel);
      throw error;
    }
  }

  private take(model: ChannelModel): Channel | undefined {
    if (this.model !== model) {
      this.model = model;
      this.idle = []; // they ended with their connection
    }
    return this.idle.pop();
  }

  private async open(model: ChannelModel, deadline: Deadline): Promise<Channel> {
    const channel = await openChannel(model.createChannel(), deadline);
    channel.once("close", () => {
      this.idle = this.idle.filter((other) => other !== channel);
    });
    return channel;
  }

  private keep(channel: Channel, model: ChannelModel): void {
    if (this.model === model && this.idle.length < KEPT) this.idle.push(channel);
    else void closeChannel(channel);
  }
}
