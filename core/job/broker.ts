import type { Service } from "../contract/service.ts";

/** RabbitMQ as a process uses it. Started, it connects and reconnects by itself; it need not be there at the start. */
export interface Broker extends Service {
  readonly connected: boolean;
  /** RabbitMQ is there and has no alarm of memory or disk: a publish would not just wait. Known from the first publish after the alarm on. */
  readonly takesMessages: boolean;
  readonly publisher: JobPublisher;
  readonly admin: QueueAdmin;
  /** A channel of its own for one partition's consumers; a new one at each call. */
  partition(id: string): PartitionChannel;
}

/** A message to publish: one job, to one queue. */
export interface OutgoingJob {
  /** The RabbitMQ queue, `<partition>-<queue>`. */
  readonly brokerQueue: string;
  readonly partition: string;
  readonly id: string;
  /** The encoded envelope. */
  readonly body: string;
  readonly traceparent?: string;
}

/** `queued`: the broker has it on disk. `unroutable`: the queue does not exist, the message came back. */
export type Published = "queued" | "unroutable";

export interface JobPublisher {
  /**
   * Publishes with confirm and `mandatory`, persistent. Calls are pipelined: start many, await all.
   * @throws BrokerUnavailable when no confirm came before the deadline (`PublishLate`), or the channel was lost; the message
   *   may or may not be queued
   */
  publish(job: OutgoingJob): Promise<Published>;
}

/** One message in the hands of this process. Settle it exactly once. */
export interface Delivery {
  readonly brokerQueue: string;
  readonly body: Buffer;
  readonly messageId: string | undefined;
  readonly redelivered: boolean;
  /** The broker's count of earlier deliveries, as a suspicion only: its rules differ by version, and a cancelled consumer raises it. */
  readonly deliveryCount: number;
  /** A dead letter's first queue (`x-first-death-queue`); `undefined` for any other message. */
  readonly deadFrom: string | undefined;
  /** Set once the channel that delivered it is gone: the broker has it back, and settling does nothing. */
  readonly lost: boolean;
  /** The outcome is recorded. Sent once per tick, coalesced. */
  ack(): void;
  /** Back to the queue. */
  nack(): void;
}

/**
 * A standing wish to consume one queue. The broker room keeps it: it declares the queue if it is missing, consumes
 * again after a reconnect, a channel error or a cancel by the server, always with the prefetch last asked for.
 */
export interface Subscription {
  /**
   * From 1 up: how many deliveries RabbitMQ may send us ahead. A hint, not a law: after it was lowered, what was delivered
   * before stays in our hands beside it. Resolves when the broker has taken it, or the connection is away.
   */
  setPrefetch(prefetch: number): Promise<void>;
  /** No delivery comes after this resolves. Deliveries in our hands stay valid until settled. */
  stop(): Promise<void>;
}

export interface SubscriptionOptions {
  readonly brokerQueue: string;
  readonly prefetch: number;
  onDelivery(delivery: Delivery): void;
  /** The channel is gone: each of these deliveries is `lost` now and goes back to the queue. Called before any new delivery. */
  onLost(deliveries: readonly Delivery[]): void;
}

/** All consumers of one partition: one AMQP channel, so an error touches one tenant. */
export interface PartitionChannel {
  subscribe(options: SubscriptionOptions): Subscription;
  /** Stops the subscriptions, sends the acks that wait, closes the channel. */
  close(): Promise<void>;
}

/** What a process needs of RabbitMQ's queues beside consuming and publishing. All throw BrokerUnavailable. */
export interface QueueAdmin {
  /** Declares the queue: passively first, actively only when it is missing. Its arguments are never changed. */
  ensure(brokerQueue: string): Promise<void>;
  /** Messages ready; `undefined` when there is no such queue. */
  depth(brokerQueue: string): Promise<number | undefined>;
  /** Removes ready messages. @returns how many; `undefined` when there is no such queue */
  purge(brokerQueue: string): Promise<number | undefined>;
  /** Shows the first messages and puts them back. Raises their delivery count. */
  peek(brokerQueue: string, limit: number): Promise<Buffer[] | undefined>;
  remove(brokerQueue: string): Promise<void>;
}

export interface TakeOptions {
  /** Messages at most. */
  readonly limit: number;
  /** No other message is taken after so long. */
  readonly withinMs: number;
  /** Does what must be done before a message is gone. @returns whether it may go; else it stays in its queue */
  settle(body: Buffer): Promise<boolean>;
}

/** Takes messages out of queues for good, each with a last look at it. */
export interface MessageTaker {
  /**
   * Takes ready messages, oldest first, several at once; each is acked once it is settled. What was settled and not acked, for
   * want of the broker, comes again.
   * @returns how many are gone; `undefined` when there is no such queue
   * @throws BrokerUnavailable; what `settle` threw
   */
  take(brokerQueue: string, options: TakeOptions): Promise<number | undefined>;
}
