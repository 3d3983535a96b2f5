import { BrokerUnavailable } from "../core/contract/errors.ts";
import { Window } from "../core/contract/window.ts";
import { closeChannel, openChannel } from "./channel.ts";
import { ChannelSession, type SessionOptions } from "./channel-session.ts";
import type { SupervisedConnection } from "./connection.ts";
import { Deadline } from "./deadline.ts";
import type { BrokerSettings } from "./settings.ts";

export interface ConsumerChannelOptions {
  readonly partition: string;
  readonly connection: SupervisedConnection;
  readonly settings: BrokerSettings;
  readonly onLost: SessionOptions["onLost"];
}

/**
 * A channel for consumers: opened when the first of them needs it, and again after each loss.
 *
 * What is asked of RabbitMQ on it is asked in turn. A prefetch counts for the consumers that come after it, so two moves that
 * overlap would take each other's; and what waits behind a move that hangs would go out with an answer of its queue that is old.
 */
export class ConsumerChannel {
  private readonly options: ConsumerChannelOptions;
  private readonly turn = new Window(1);
  private session: ChannelSession | undefined;
  private lastError: Error | undefined;
  private closed = false;

  constructor(options: ConsumerChannelOptions) {
    this.options = options;
  }

  /** Makes a move once those that came before are made. */
  inTurn(move: () => Promise<void>): Promise<void> {
    return this.turn.run(move);
  }

  /** Within a turn only. @throws BrokerUnavailable */
  async open(): Promise<ChannelSession> {
    if (this.session !== undefined) return this.session;
    const { connection, settings, partition } = this.options;
    const { model } = connection;
    if (model === undefined) throw new BrokerUnavailable("not connected to RabbitMQ");
    const channel = await openChannel(model.createChannel(), new Deadline(settings.rpcDeadlineMs), (error) => {
      this.lastError = error;
    });
    if (connection.model !== model) throw new BrokerUnavailable(`the connection was lost while the channel of ${partition} was opened`);
    if (this.closed) {
      await closeChannel(channel);
      throw new BrokerUnavailable(`the channel of ${partition} is closed`);
    }
    this.lastError = undefined;
    this.session = new ChannelSession(channel, { rpcDeadlineMs: settings.rpcDeadlineMs, onLost: (...loss) => this.lost(...loss) });
    return this.session;
  }

  /** Sends the acks that wait. Nothing can be opened any more. */
  async close(): Promise<void> {
    this.closed = true;
    await this.session?.close();
  }

  private lost(...[session, unsettled, error]: Parameters<SessionOptions["onLost"]>): void {
    const { settings, partition, onLost } = this.options;
    this.session = undefined;
    const cause = error ?? this.lastError;
    onLost(session, unsettled, cause);
    if (cause !== undefined && !this.closed) settings.onEvent({ kind: "channel_lost", channel: partition, error: cause });
  }
}
