import type { Channel, ChannelModel } from "amqplib";
import { closeChannel, openChannel } from "./channel.ts";
import type { SupervisedConnection } from "./connection.ts";
import { Deadline } from "./deadline.ts";

export interface QuestionOptions {
  readonly deadlineMs: number;
  /** Channels kept open between two questions: as many as are asked at a time. */
  readonly kept: number;
}

/**
 * Channels for questions that leave nothing behind on them, such as "how many messages?": to open and close one costs
 * several times what the question does. One question at a time on each; one that fails, or comes to no answer, takes its
 * channel with it ("no such queue" ends a channel), so that nobody meets an answer that was another's.
 */
export class QuestionChannels {
  private readonly connection: SupervisedConnection;
  private readonly options: QuestionOptions;
  private idle: Channel[] = [];
  /** The connection that `idle` belong to. */
  private model: ChannelModel | undefined;

  constructor(connection: SupervisedConnection, options: QuestionOptions) {
    this.connection = connection;
    this.options = options;
  }

  /**
   * @param deadline of a caller whose time runs already
   * @throws BrokerUnavailable when it fails or is not done before the deadline
   */
  async ask<T>(what: string, question: (channel: Channel) => Promise<T>, deadline: Deadline = new Deadline(this.options.deadlineMs)): Promise<T> {
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
    if (this.model === model && this.idle.length < this.options.kept) this.idle.push(channel);
    else void closeChannel(channel);
  }
}
