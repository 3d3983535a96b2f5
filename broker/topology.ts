import { setTimeout as sleep } from "node:timers/promises";
import type { Channel, Options } from "amqplib";
import { BrokerUnavailable } from "../core/contract/errors.ts";
import { DEAD_QUEUE } from "../core/contract/names.ts";
import { closeChannel, openChannel } from "./channel.ts";
import type { SupervisedConnection } from "./connection.ts";
import { Deadline, replyCode, unavailable } from "./deadline.ts";
import type { BrokerSettings } from "./settings.ts";

/** AMQP reply codes, see https://www.rabbitmq.com/amqp-0-9-1-reference#constants. */
export const NOT_FOUND = 404;
const PRECONDITION_FAILED = 406;

/** Declaring is bound by the broker: a few channels at once are 1.5 times as fast as one, more gain nothing. */
const LANES = 8;

/**
 * A queue that somebody else is declaring at this moment exists before it has started: it looks empty, and declaring it
 * too is answered at once. RabbitMQ 3.10 refuses messages to it, and ends the whole connection of whoever consumes it. So
 * one that is not seen in use is not consumed for this long.
 */
const SETTLE_MS = 500;

/**
 * How a queue is declared. Every argument is given, so that RabbitMQ 3.10 and 4.x behave alike: 4.x would drop a
 * message at its 21st delivery. Never change them: a queue that exists keeps what it was declared with.
 */
export function queueOptions(brokerQueue: string): Options.AssertQueue {
  // Nothing catches what roger.dead lets fall, so it lets nothing fall; no number means "no limit" to both versions.
  if (brokerQueue === DEAD_QUEUE) return { durable: true, arguments: { "x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000 } };
  return {
    durable: true,
    arguments: {
      "x-queue-type": "quorum",
      "x-delivery-limit": 10_000,
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": DEAD_QUEUE,
      "x-dead-letter-strategy": "at-least-once",
      "x-overflow": "reject-publish", // at-least-once asks for it
    },
  };
}

/** What a look at a queue came to. `quiet`: no message, no consumer. */
type Found = "in use" | "quiet" | "missing";

interface Declaration {
  readonly brokerQueue: string;
  resolve(found: Found): void;
  reject(error: Error): void;
}

/**
 * Sees to it that queues exist: looks first, declares only what is missing, and remembers for as long as the
 * connection lives. Callers who ask for one queue at the same time share one answer.
 */
export class Topology {
  private readonly connection: SupervisedConnection;
  private readonly settings: BrokerSettings;
  private readonly known = new Map<string, Promise<Found>>();
  private readonly settled = new Set<string>();
  private readonly waiting: Declaration[] = [];
  private lanes = 0;

  constructor(connection: SupervisedConnection, settings: BrokerSettings) {
    this.connection = connection;
    this.settings = settings;
    connection.watch(() => {
      if (connection.model !== undefined) return;
      this.known.clear(); // a broker that comes back may have other queues
      this.settled.clear();
    });
  }

  /** @throws BrokerUnavailable at once when there is no connection: who wants to wait for one does so before */
  async ensure(brokerQueue: string): Promise<void> {
    await this.find(brokerQueue);
  }

  /** As `ensure`, and it is safe to consume the queue. */
  async ensureSettled(brokerQueue: string): Promise<void> {
    const found = await this.find(brokerQueue);
    if (found === "in use" || this.settled.has(brokerQueue)) return;
    await sleep(SETTLE_MS);
    this.settled.add(brokerQueue);
  }

  /** The queue may be gone: the next `ensure` asks RabbitMQ again. */
  forget(brokerQueue: string): void {
    this.known.delete(brokerQueue);
    this.settled.delete(brokerQueue);
  }

  private find(brokerQueue: string): Promise<Found> {
    const known = this.known.get(brokerQueue);
    if (known !== undefined) return known;
    const found = this.declare(brokerQueue);
    this.known.set(brokerQueue, found);
    found.catch(() => {
      if (this.known.get(brokerQueue) === found) this.known.delete(brokerQueue); // the caller has the error; the next one asks anew
    });
    return found;
  }

  private async declare(brokerQueue: string): Promise<Found> {
    if (brokerQueue !== DEAD_QUEUE) await this.ensure(DEAD_QUEUE);
    return await new Promise<Found>((resolve, reject) => {
      this.waiting.push({ brokerQueue, resolve, reject });
      if (this.lanes < LANES) void this.lane();
    });
  }

  /** One channel that declares what waits, one queue after the other, and is closed when nothing waits any more. */
  private async lane(): Promise<void> {
    this.lanes++;
    let channel: Channel | undefined;
    for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
      try {
        channel ??= await this.open();
        const found = await this.look(channel, next.brokerQueue);
        if (found === "missing") {
          channel = undefined; // that is an error to AMQP, and an error ends a channel
          await this.create(next.brokerQueue);
        }
        next.resolve(found);
      } catch (error) {
        if (channel !== undefined) void closeChannel(channel); // it did not answer, or is closed already
        channel = undefined;
        next.reject(unavailable(`declare ${next.brokerQueue}`, error));
      }
    }
    this.lanes--;
    if (channel !== undefined) await closeChannel(channel);
  }

  private async look(channel: Channel, brokerQueue: string): Promise<Found> {
    try {
      const { messageCount, consumerCount } = await this.deadline().within(channel.checkQueue(brokerQueue), `look for ${brokerQueue}`);
      return messageCount + consumerCount > 0 ? "in use" : "quiet";
    } catch (error) {
      if (replyCode(error) === NOT_FOUND) return "missing";
      throw error;
    }
  }

  private async create(brokerQueue: string): Promise<void> {
    const channel = await this.open();
    try {
      await this.deadline().within(channel.assertQueue(brokerQueue, queueOptions(brokerQueue)), `declare ${brokerQueue}`);
    } catch (error) {
      if (replyCode(error) === PRECONDITION_FAILED) return; // declared by somebody else since we looked, with other arguments: it exists
      throw error;
    } finally {
      void closeChannel(channel);
    }
    this.settings.onEvent({ kind: "queue_created", brokerQueue });
  }

  private async open(): Promise<Channel> {
    const { model } = this.connection;
    if (model === undefined) throw new BrokerUnavailable("not connected to RabbitMQ");
    return await openChannel(model.createChannel(), this.deadline());
  }

  private deadline(): Deadline {
    return new Deadline(this.settings.rpcDeadlineMs);
  }
}
