import type { Channel } from "amqplib";
import { Window } from "../core/contract/window.ts";
import { SupervisedConnection } from "./connection.ts";
import { replyCode } from "./deadline.ts";
import { QuestionChannels } from "./question-channels.ts";
import type { BrokerSettings } from "./settings.ts";
import { NOT_FOUND } from "./topology.ts";

/** Queues asked at once. One that does not answer keeps its place until the deadline; those that did not before have places apart. */
const WIDTH = { fresh: 32, suspect: 8 } as const;
/** Channels kept open between two questions. */
const KEPT = 8;

/**
 * Finds out whether a queue has a leader, before that is found out the hard way.
 *
 * RabbitMQ does what needs a quorum queue's leader (consume, cancel, get) within its process for the channel. Without a
 * leader that process waits, with all acks of the channel behind it, for `net_ticktime` and 5 s (65 s by default; closing
 * the channel does not end it), and then RabbitMQ ends the whole *connection* with 541 INTERNAL_ERROR. So whoever is going
 * to consume or cancel asks here first, on a connection that carries nothing else.
 *
 * The question is a `get`. An empty queue has nothing to give: it costs an entry in the queue's log. One that counts
 * messages has a leader, or had one lately, so it is asked only if it failed to answer before; what it gives then goes
 * back. To declare a queue passively says nothing: RabbitMQ answers with zeros when there is no leader.
 */
export class LeaderProbe {
  private readonly connection: SupervisedConnection;
  private readonly questions: QuestionChannels;
  private readonly windows = { fresh: new Window(WIDTH.fresh), suspect: new Window(WIDTH.suspect) };

  constructor(settings: BrokerSettings) {
    this.connection = new SupervisedConnection(`${settings.name} probe`, settings);
    this.questions = new QuestionChannels(this.connection, { deadlineMs: settings.rpcDeadlineMs, kept: KEPT });
  }

  /**
   * Resolves when the queue has answered, or does not exist.
   * @param suspect it failed to answer before: its count of messages proves nothing
   * @throws BrokerUnavailable when it does not answer before the deadline
   */
  async ask(brokerQueue: string, suspect: boolean): Promise<void> {
    void this.connection.start(); // with the first question: a process that only publishes needs no such connection
    const question = (channel: Channel): Promise<void> => askLeader(channel, brokerQueue, suspect);
    try {
      await this.windows[suspect ? "suspect" : "fresh"].run(() => this.questions.ask(`ask ${brokerQueue} for its leader`, question));
    } catch (error) {
      if (replyCode(error) !== NOT_FOUND) throw error;
    }
  }

  stop(): Promise<void> {
    return this.connection.stop();
  }
}

async function askLeader(channel: Channel, brokerQueue: string, suspect: boolean): Promise<void> {
  if (!suspect && (await channel.checkQueue(brokerQueue)).messageCount > 0) return;
  const message = await channel.get(brokerQueue, { noAck: false });
  if (message !== false) channel.nack(message, false, true);
}
