import type { Delivery, PartitionChannel, SubscriptionOptions } from "../core/job/broker.ts";
import type { Hook } from "./calls.ts";
import { MemoryDelivery, type Session } from "./memory-delivery.ts";
import type { MemoryRabbit } from "./memory-rabbit.ts";
import { MemorySubscription } from "./memory-subscription.ts";
import { takeMessage } from "./queue-state.ts";

/** All consumers of one partition. What was delivered in one life of the channel can't be settled in the next. */
export class MemoryChannel implements PartitionChannel {
  readonly #rabbit: MemoryRabbit;
  readonly #hook: Hook;
  readonly #onClosed: () => void;
  readonly #subscriptions = new Set<MemorySubscription>();
  #session: Session | undefined;
  #closed = false;

  constructor(rabbit: MemoryRabbit, hook: Hook, connected: boolean, onClosed: () => void) {
    this.#rabbit = rabbit;
    this.#hook = hook;
    this.#onClosed = onClosed;
    if (connected) this.#session = this.#newSession();
  }

  subscribe(options: SubscriptionOptions): MemorySubscription {
    if (this.#closed) throw new Error("the channel is closed");
    const subscription = new MemorySubscription(this.#rabbit, this.#hook, options);
    this.#subscriptions.add(subscription);
    if (this.#session !== undefined && !this.#session.severed) subscription.begin(this.#session);
    return subscription;
  }

  /** Takes one message without a subscription: for whoever decides itself when a message is delivered. */
  pull(brokerQueue: string): Delivery | undefined {
    const session = this.#session;
    if (session === undefined || session.severed) return undefined;
    const taken = takeMessage(this.#rabbit.state, brokerQueue);
    if (taken === undefined) return undefined;
    const delivery = new MemoryDelivery({ taken, brokerQueue, session, owner: undefined, rabbit: this.#rabbit, hook: this.#hook });
    session.unsettled.add(delivery);
    return delivery;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.sever();
    this.notice();
    this.#onClosed();
  }

  /** RabbitMQ has back what is unsettled. */
  sever(): void {
    const session = this.#session;
    if (session === undefined || session.severed) return;
    session.severed = true;
    for (const subscription of this.#subscriptions) subscription.end();
    for (const delivery of session.unsettled) delivery.giveBack();
    this.#rabbit.changed();
  }

  /** The process learns that the channel is gone: owners hear of it before anything new comes. */
  notice(): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#session = undefined;
    session.lost = true;
    const handedOn = [...session.unsettled].filter((delivery) => delivery.handedOn);
    for (const [owner, deliveries] of Map.groupBy(handedOn, (delivery) => delivery.owner)) owner?.onLost(deliveries);
  }

  reconnect(): void {
    if (this.#closed || this.#session !== undefined) return;
    this.#session = this.#newSession();
    for (const subscription of this.#subscriptions) subscription.begin(this.#session);
  }

  #newSession(): Session {
    return { severed: false, lost: false, unsettled: new Set() };
  }
}
