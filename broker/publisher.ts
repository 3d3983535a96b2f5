import type { ConfirmChannel, Message } from "amqplib";
import { systemClock } from "../core/contract/clock.ts";
import { BrokerUnavailable, PublishLate } from "../core/contract/errors.ts";
import type { JobPublisher, OutgoingJob, Published } from "../core/job/broker.ts";
import { closeChannel, openChannel } from "./channel.ts";
import type { SupervisedConnection } from "./connection.ts";
import { ConvergeLoop } from "./converge-loop.ts";
import { Deadline, unavailable } from "./deadline.ts";
import { Fifo } from "./fifo.ts";
import type { BrokerSettings } from "./settings.ts";

/** One call of `publish`, from the call to its answer. */
interface Publishing {
  readonly job: OutgoingJob;
  /** Ours alone. Ids are not: the same job may be on its way twice, to two queues or to one that comes and goes. */
  readonly number: string;
  /** By the monotonic clock. */
  readonly deadlineAt: number;
  returned: boolean;
  resolve(published: Published): void;
  reject(error: Error): void;
}

/**
 * Publishes over one confirm channel.
 *
 *   waiting ── room in the window, channel open, no alarm ──> in flight ── confirmed ──> answered
 *      └─────────────── deadline ───────────────┐                 └── deadline, refused, channel lost ──> failed
 *                                               └──> failed
 *
 * Who waits is served in the order of the calls. RabbitMQ returns an unroutable message before it confirms it.
 * A message that is late frees its place in the window: one queue that cannot confirm must not stop all others.
 */
export class AmqpPublisher implements JobPublisher {
  private readonly connection: SupervisedConnection;
  private readonly settings: BrokerSettings;
  private readonly onUnroutable: (brokerQueue: string) => void;
  private readonly loop: ConvergeLoop;
  private readonly unwatch: () => void;
  private readonly waiting = new Fifo<Publishing>();
  /** In the order of the calls, so that the first is the one due first. All are older than any that waits. */
  private readonly inFlight = new Set<Publishing>();
  private channel: ConfirmChannel | undefined;
  private channels = 0;
  /** amqplib's buffer for the channel has room. */
  private writable = false;
  private timer: NodeJS.Timeout | undefined;
  private count = 0;
  private closing: Promise<void> | undefined;
  private onIdle: (() => void) | undefined;

  constructor(connection: SupervisedConnection, settings: BrokerSettings, onUnroutable: (brokerQueue: string) => void) {
    this.connection = connection;
    this.settings = settings;
    this.onUnroutable = onUnroutable;
    this.loop = new ConvergeLoop({
      converge: () => this.converge(),
      onRetry: (error, delayMs) => settings.onEvent({ kind: "retrying", what: "the confirm channel", error, delayMs }),
    });
    this.unwatch = connection.watch(() => {
      void this.loop.wake();
      this.pump(); // an alarm may be over
    });
  }

  /** Of the channel on which the next message goes out: another one from each loss on. */
  get channelNumber(): number {
    return this.channels;
  }

  publish(job: OutgoingJob): Promise<Published> {
    if (this.closing !== undefined) return Promise.reject(new BrokerUnavailable("the publisher is closed"));
    if (this.waiting.length >= this.settings.waitingPublishes) {
      return Promise.reject(new BrokerUnavailable(`${this.waiting.length} publishes wait already`));
    }
    return new Promise((resolve, reject) => {
      const deadlineAt = systemClock.monotonic() + this.settings.publishDeadlineMs;
      this.waiting.push({ job, number: String(++this.count), deadlineAt, returned: false, resolve, reject });
      this.timer ??= setTimeout(this.expire, this.settings.publishDeadlineMs);
      this.pump();
    });
  }

  /** Lets what was begun come to its end if there is a channel, then fails the rest. */
  close(): Promise<void> {
    this.closing ??= this.shut();
    return this.closing;
  }

  private async shut(): Promise<void> {
    if (this.channel !== undefined && this.oldest() !== undefined) {
      const idle = new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
      await new Deadline(this.settings.closeDeadlineMs).within(idle, "finish publishing").catch(() => undefined); // those left fail below
    }
    this.unwatch();
    await this.loop.stop();
    if (this.channel !== undefined) await closeChannel(this.channel);
    clearTimeout(this.timer);
    const closed = new BrokerUnavailable("the publisher was closed before a confirm came");
    for (let oldest = this.oldest(); oldest !== undefined; oldest = this.oldest()) this.fail(oldest, closed);
  }

  private async converge(): Promise<void> {
    const { model } = this.connection;
    if (model === undefined || this.channel !== undefined) return;
    let lastError: Error | undefined;
    const channel = await openChannel(model.createConfirmChannel(), new Deadline(this.settings.rpcDeadlineMs), (error) => {
      lastError = error;
    });
    if (this.connection.model !== model) throw new BrokerUnavailable("the connection was lost while the confirm channel was opened");
    channel.on("return", (message) => this.returned(message));
    channel.on("drain", () => {
      this.writable = true;
      this.pump();
    });
    // Ahead of amqplib's own listener, which fails every message in flight: none that waits may follow them into this channel.
    channel.prependOnceListener("close", () => {
      if (this.channel === channel) this.channel = undefined;
      this.channels += 1;
      if (lastError !== undefined) this.settings.onEvent({ kind: "channel_lost", channel: "publisher", error: lastError });
      this.loop.wakeLater();
    });
    this.channel = channel;
    this.writable = true;
    this.pump();
  }

  private pump(): void {
    while (this.channel !== undefined && this.writable && this.inFlight.size < this.settings.confirmWindow) {
      if (this.connection.blocked !== undefined) return;
      const next = this.waiting.shift();
      if (next === undefined) return;
      this.send(this.channel, next);
    }
  }

  private send(channel: ConfirmChannel, publishing: Publishing): void {
    const { job, number } = publishing;
    const options = {
      mandatory: true,
      persistent: true,
      contentType: "application/json",
      messageId: job.id,
      appId: job.partition,
      correlationId: number,
      headers: job.traceparent === undefined ? {} : { traceparent: job.traceparent },
    };
    this.inFlight.add(publishing);
    try {
      this.writable = channel.publish("", job.brokerQueue, Buffer.from(job.body), options, (error: unknown) => this.confirmed(publishing, error));
    } catch (error) {
      this.fail(publishing, unavailable("publish", error)); // amqplib is closing the channel and has not told us yet
    }
  }

  private returned(message: Message): void {
    const number: unknown = message.properties.correlationId;
    for (const publishing of this.inFlight) {
      if (publishing.number === number) publishing.returned = true;
    }
  }

  private confirmed(publishing: Publishing, error: unknown): void {
    if (error !== null && error !== undefined) {
      this.fail(publishing, unavailable("publish", error));
      return;
    }
    if (!this.inFlight.delete(publishing)) return; // its caller was told that it is late
    if (publishing.returned) this.onUnroutable(publishing.job.brokerQueue);
    publishing.resolve(publishing.returned ? "unroutable" : "queued");
    this.settled();
  }

  private fail(publishing: Publishing, error: BrokerUnavailable): void {
    const open = this.inFlight.delete(publishing) || (this.waiting.first() === publishing && this.waiting.shift() !== undefined);
    if (!open) return;
    publishing.reject(error);
    this.settled();
  }

  private settled(): void {
    if (this.waiting.length > 0) this.pump();
    else if (this.inFlight.size === 0) this.onIdle?.();
  }

  private oldest(): Publishing | undefined {
    return this.inFlight.values().next().value ?? this.waiting.first();
  }

  /** One timer for all: they have the same time each, so they are due in the order of the calls. */
  private readonly expire = (): void => {
    this.timer = undefined;
    const now = systemClock.monotonic();
    let oldest = this.oldest();
    for (; oldest !== undefined && oldest.deadlineAt <= now; oldest = this.oldest()) {
      const sent = this.inFlight.has(oldest);
      this.fail(oldest, new PublishLate(`no confirm within ${this.settings.publishDeadlineMs} ms: ${this.obstacle()}`, sent));
    }
    if (oldest !== undefined) this.timer = setTimeout(this.expire, Math.max(1, oldest.deadlineAt - now));
  };

  private obstacle(): string {
    if (this.connection.model === undefined) return this.connection.absence;
    if (this.connection.blocked !== undefined) return `RabbitMQ takes no messages (${this.connection.blocked})`;
    return "RabbitMQ did not answer";
  }
}
