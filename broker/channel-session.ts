import type { Channel, ConsumeMessage } from "amqplib";
import { type AckSink, AckTracker } from "./ack-tracker.ts";
import { closeChannel } from "./channel.ts";
import { Deadline, unavailable } from "./deadline.ts";
import { type DeliveryOwner, ReceivedDelivery, type Settler } from "./delivery.ts";

export interface SessionOptions {
  readonly rpcDeadlineMs: number;
  /** Once, when the channel is gone, whoever ended it. `unsettled` are the deliveries that RabbitMQ has back. */
  onLost(session: ChannelSession, unsettled: readonly ReceivedDelivery[], error: Error | undefined): void;
}

/**
 * One AMQP channel that consumes, from its opening to its end: open ──> lost, and never back. What was delivered on it
 * is settled on it or not at all.
 */
export class ChannelSession implements Settler {
  readonly channel: Channel;
  private readonly options: SessionOptions;
  private readonly tracker = new AckTracker<ReceivedDelivery>();
  private readonly sink: AckSink<ReceivedDelivery>;
  private gone = false;
  private flushScheduled = false;
  private consumers = 0;

  constructor(channel: Channel, options: SessionOptions) {
    this.channel = channel;
    this.options = options;
    this.sink = {
      ack: (delivery, multiple) => channel.ack(delivery.message, multiple),
      nack: (delivery) => channel.nack(delivery.message, false, true),
    };
    channel.once("close", () => this.lose(undefined));
  }

  get lost(): boolean {
    return this.gone;
  }

  /** A consumer tag that this channel has not seen before. */
  nextConsumerTag(): string {
    return `c${++this.consumers}`;
  }

  receive(message: ConsumeMessage, owner: DeliveryOwner): ReceivedDelivery {
    const delivery = new ReceivedDelivery(message, owner, this);
    this.tracker.received(delivery);
    return delivery;
  }

  ack(delivery: ReceivedDelivery): void {
    if (!this.gone && this.tracker.ack(delivery)) this.scheduleFlush();
  }

  nack(delivery: ReceivedDelivery): void {
    if (!this.gone && this.tracker.nack(delivery)) this.scheduleFlush();
  }

  /**
   * Waits for RabbitMQ's answer to something that was asked on this channel. No answer, or a refusal, ends the channel.
   * @throws BrokerUnavailable
   */
  async answer<T>(asked: Promise<T>, what: string): Promise<T> {
    try {
      return await new Deadline(this.options.rpcDeadlineMs).within(asked, what);
    } catch (error) {
      this.abandon(unavailable(what, error));
      throw error;
    }
  }

  /** Sends what waits, closes the channel. What is unsettled goes back to its queue. */
  async close(): Promise<void> {
    if (this.gone) return;
    this.flush();
    await closeChannel(this.channel);
    this.lose(undefined);
  }

  /** The channel is of no use any more, or known to be gone. */
  abandon(error: Error | undefined): void {
    if (this.gone) return;
    this.lose(error);
    void closeChannel(this.channel);
  }

  private lose(error: Error | undefined): void {
    if (this.gone) return;
    this.gone = true;
    this.options.onLost(this, this.tracker.unsettled(), error);
  }

  private scheduleFlush(): void {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    setImmediate(() => this.flush());
  }

  private flush(): void {
    this.flushScheduled = false;
    if (this.gone) return;
    try {
      this.tracker.flush(this.sink);
    } catch (error) {
      this.abandon(unavailable("send acks", error)); // amqplib closed the channel and has not told us yet
    }
  }
}
