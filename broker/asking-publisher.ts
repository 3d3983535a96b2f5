import { PublishLate } from "../core/contract/errors.ts";
import type { JobPublisher, OutgoingJob, Published } from "../core/job/broker.ts";
import { Deadline } from "./deadline.ts";
import type { LeaderProbe } from "./leader-probe.ts";
import type { AmqpPublisher } from "./publisher.ts";
import type { BrokerSettings } from "./settings.ts";

/** What a publish that has to ask first may spend on that, as a part of its deadline; the rest is for its confirm. */
const ASK_PART = 0.25;
/** Queues remembered; beyond it all are asked anew. */
const MOST_KNOWN = 10_000;

/** The deadline of the publisher that an `AskingPublisher` asks for. */
export function settingsAfterAsking(settings: BrokerSettings): BrokerSettings {
  return { ...settings, publishDeadlineMs: settings.publishDeadlineMs * (1 - ASK_PART) };
}

/**
 * Publishes to a queue once that has answered. RabbitMQ registers a channel with a quorum queue before the first message
 * to it, and anything else on the channel, goes on: without a leader, all that a process publishes would wait (see LeaderProbe).
 *
 *   unknown ── asked, it answers ──> known ── no confirm, another channel ──> unknown
 *
 * Those that are published to a queue while it is asked wait for one answer.
 */
export class AskingPublisher implements JobPublisher {
  private readonly publisher: AmqpPublisher;
  private readonly probe: LeaderProbe;
  private readonly askMs: number;
  /** Queue -> the publisher's channel on which it is registered. */
  private readonly known = new Map<string, number>();
  private readonly asking = new Map<string, Promise<unknown>>();

  constructor(publisher: AmqpPublisher, probe: LeaderProbe, settings: BrokerSettings) {
    this.publisher = publisher;
    this.probe = probe;
    this.askMs = settings.publishDeadlineMs * ASK_PART;
  }

  /** @throws BrokerUnavailable when the queue does not answer: the message was not sent; else as any publisher */
  async publish(job: OutgoingJob): Promise<Published> {
    const { brokerQueue } = job;
    if (this.known.get(brokerQueue) !== this.publisher.channelNumber) {
      await new Deadline(this.askMs).within(this.ask(brokerQueue), `publish to ${brokerQueue}`);
      if (this.known.size >= MOST_KNOWN) this.known.clear();
      this.known.set(brokerQueue, this.publisher.channelNumber);
    }
    try {
      const published = await this.publisher.publish(job);
      if (published === "unroutable") this.known.delete(brokerQueue); // the next queue of this name is another one
      return published;
    } catch (error) {
      this.known.delete(brokerQueue);
      if (error instanceof PublishLate && error.sent) this.probe.doubt(brokerQueue);
      throw error;
    }
  }

  private ask(brokerQueue: string): Promise<unknown> {
    const asking = this.asking.get(brokerQueue);
    if (asking !== undefined) return asking;
    const asked = this.probe.ask(brokerQueue).finally(() => this.asking.delete(brokerQueue));
    asked.catch(() => undefined); // nobody may be left to hear of it: the publish has its own deadline
    this.asking.set(brokerQueue, asked);
    return asked;
  }
}
