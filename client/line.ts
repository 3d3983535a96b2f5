import type { Clock } from "../core/contract/clock.ts";
import { BrokerUnavailable, PublishLate } from "../core/contract/errors.ts";
import { Window } from "../core/contract/window.ts";
import type { Broker, OutgoingJob, Published } from "../core/job/broker.ts";
import type { Line } from "./enqueuer.ts";

/** RabbitMQ as an enqueuer needs it. */
export type Publishing = Pick<Broker, "connected" | "publisher" | "start" | "stop">;

/**
 * Messages in the hands of the publisher at once; others wait before their deadlines begin. Five windows of confirms: it
 * never runs dry, and never refuses one for having too many.
 */
const AT_ONCE = 1_000;
/** A queue that can't take or confirm a message is left alone for so long … */
const FAILING_REST_MS = 5_000;
/** … and one that does not exist yet; a worker declares it when the first job comes out of the outbox. */
const MISSING_REST_MS = 1_000;
/** Queues left alone at once; beyond it all are tried anew. */
const MOST_RESTING = 1_000;

/**
 * The way to RabbitMQ of a process that may be frozen between any two instructions, as Lambda does: one connection with
 * one confirm channel, made for the first job and kept. It has no heartbeat, so a thaw finds it as it was left. The first
 * publish after a thaw may find it dead, though: then it is renewed, and the message sent once more.
 *
 * | what happens to a publish | has RabbitMQ the message? | then |
 * |---|---|---|
 * | confirmed | yes | |
 * | returned | no, there is no such queue | `unroutable`; the next jobs of this queue don't ask for 1 s |
 * | the connection is cut | perhaps | sent once more, over the next connection |
 * | no answer to anything by the deadline | perhaps | the connection is given up, sent once more over a new one |
 * | no confirm by the deadline, though others came | perhaps | fails: the queue has no majority, its jobs don't ask for 5 s |
 * | never sent: no connection by the deadline | no | fails, and so do all others at once until there is one |
 * | never sent: connected, but RabbitMQ takes nothing (an alarm) | no | fails; its queue is not asked for 5 s |
 *
 * Sent once more means that the queue may get it twice, under one id.
 */
export class BrokerLine implements Line {
  readonly #open: () => Publishing;
  readonly #clock: Clock;
  #broker: Publishing | undefined;
  /** When RabbitMQ last answered over the present connection, by the monotonic clock. */
  #heardAt = 0;
  /** No connection came in the time of a whole deadline. */
  #away = false;
  /** Queue -> until when it is left alone. */
  readonly #resting = new Map<string, number>();
  readonly #window = new Window(AT_ONCE);
  readonly #leaving = new Set<Promise<void>>();
  #closed = false;

  /** @param open makes a broker that has not been started */
  constructor(open: () => Publishing, clock: Clock) {
    this.#open = open;
    this.#clock = clock;
  }

  /**
   * n.b. one async function for the way of nearly all jobs: each more would be felt in a loop of a million.
   * @throws BrokerUnavailable within two deadlines, or at once while there is no hope; RabbitMQ may have the message or not
   */
  async publish(message: OutgoingJob): Promise<Published> {
    const turn = this.#window.enter();
    if (turn !== undefined) await turn;
    try {
      this.#refuse(message.brokerQueue);
      const broker = this.#current();
      const begun = this.#clock.monotonic();
      let published: Published;
      try {
        published = await broker.publisher.publish(message);
      } catch (error) {
        published = await this.#again(message, broker, begun, error);
      }
      if (broker === this.#broker) this.#heardAt = this.#clock.monotonic();
      if (published === "unroutable") this.#rest(message.brokerQueue, MISSING_REST_MS);
      return published;
    } finally {
      this.#window.leave();
    }
  }

  /** Lets what was begun come to its end, for a moment. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#broker !== undefined) this.#leave(this.#broker);
    this.#broker = undefined;
    await Promise.all(this.#leaving);
  }

  /** The second try, if there is any use in one. */
  async #again(message: OutgoingJob, broker: Publishing, begun: number, error: unknown): Promise<Published> {
    try {
      if (!this.#worthAnotherTry(broker, begun, error)) throw error;
      const next = this.#current();
      try {
        const published = await next.publisher.publish(message);
        if (next === this.#broker) this.#heardAt = this.#clock.monotonic();
        return published;
      } catch (second) {
        if (second instanceof PublishLate && !next.connected) this.#away = true;
        throw second;
      }
    } catch (last) {
      if (!this.#closed && this.#broker?.connected === true) this.#rest(message.brokerQueue, FAILING_REST_MS);
      throw last;
    }
  }

  #worthAnotherTry(broker: Publishing, begun: number, error: unknown): boolean {
    if (this.#closed || !(error instanceof BrokerUnavailable)) return false;
    if (!(error instanceof PublishLate)) return true;
    if (broker !== this.#broker) return true;
    if (!error.sent) {
      if (!broker.connected) this.#away = true;
      return false;
    }
    if (this.#heardAt > begun) return false;
    this.#renew(broker);
    return true;
  }

  /** A connection that has swallowed a message is not asked why. */
  #renew(silent: Publishing): void {
    this.#leave(silent);
    this.#broker = undefined;
  }

  #current(): Publishing {
    if (this.#broker !== undefined) return this.#broker;
    if (this.#closed) throw new BrokerUnavailable("the client is closed");
    const broker = this.#open();
    this.#broker = broker;
    this.#heardAt = 0;
    // n.b. it never fails for want of RabbitMQ: it resolves at once, and whoever publishes waits for the connection.
    void broker.start();
    return broker;
  }

  #leave(broker: Publishing): void {
    const left: Promise<void> = broker.stop().finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }

  #refuse(brokerQueue: string): void {
    if (this.#away) {
      if (this.#broker?.connected !== true) throw new BrokerUnavailable("not connected to RabbitMQ");
      this.#away = false;
    }
    const until = this.#resting.get(brokerQueue);
    if (until === undefined) return;
    if (until > this.#clock.monotonic()) throw new BrokerUnavailable(`RabbitMQ did not take the last job for ${brokerQueue}`);
    this.#resting.delete(brokerQueue);
  }

  #rest(brokerQueue: string, ms: number): void {
    if (this.#resting.size >= MOST_RESTING) this.#resting.clear();
    this.#resting.set(brokerQueue, this.#clock.monotonic() + ms);
  }
}
