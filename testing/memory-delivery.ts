import type { Delivery, SubscriptionOptions } from "../core/job/broker.ts";
import { type Hook, throughHook } from "./calls.ts";
import type { MemoryRabbit } from "./memory-rabbit.ts";
import type { MemoryMessage } from "./memory-state.ts";
import { ackMessage, returnMessage, type TakenMessage } from "./queue-state.ts";

/** One life of a channel. */
export interface Session {
  /** RabbitMQ has given it up: nothing that is sent on it arrives. */
  severed: boolean;
  /** The process knows. */
  lost: boolean;
  readonly unsettled: Set<MemoryDelivery>;
}

export interface MemoryDeliveryOptions {
  readonly taken: TakenMessage;
  readonly brokerQueue: string;
  readonly session: Session;
  /** Who hears of its loss. */
  readonly owner: SubscriptionOptions | undefined;
  readonly rabbit: MemoryRabbit;
  readonly hook: Hook;
  /** Its consumer has room again. */
  onSettled?(delivery: MemoryDelivery): void;
}

/** A message in a process's hands. The first settlement counts; on a channel that is gone none does. */
export class MemoryDelivery implements Delivery {
  readonly body: Buffer;
  /** It has reached its receiver. */
  handedOn = false;
  readonly #options: MemoryDeliveryOptions;
  readonly #message: MemoryMessage;
  #settled = false;

  constructor(options: MemoryDeliveryOptions) {
    this.#options = options;
    this.#message = options.taken.message;
    this.body = Buffer.from(this.#message.body);
  }

  get brokerQueue(): string {
    return this.#options.brokerQueue;
  }

  get messageId(): string {
    return this.#message.id;
  }

  get redelivered(): boolean {
    return this.#message.returns > 0;
  }

  get deliveryCount(): number {
    return this.#message.returns;
  }

  get deadFrom(): string | undefined {
    return this.#message.deadFrom;
  }

  get lost(): boolean {
    return this.#options.session.lost;
  }

  get owner(): SubscriptionOptions | undefined {
    return this.#options.owner;
  }

  ack(): void {
    const { rabbit, taken } = this.#options;
    this.#settle("ack", () => ackMessage(rabbit.state, this.brokerQueue, taken.tag));
  }

  nack(): void {
    this.#settle("nack", () => this.giveBack());
  }

  /** RabbitMQ's own doing, whatever the process wants. */
  giveBack(): void {
    returnMessage(this.#options.rabbit.state, this.brokerQueue, this.#options.taken.tag);
  }

  #settle(method: "ack" | "nack", effect: () => void): void {
    const { session, hook } = this.#options;
    if (this.#settled || session.lost) return;
    this.#settled = true;
    throughHook(hook, { port: "delivery", method, args: [this] }, () => this.#arrive(effect)).catch(() => {
      // The hook had it lost on its way: the message stays in the hands of the channel until that is gone.
    });
  }

  #arrive(effect: () => void): void {
    const { session, rabbit, onSettled } = this.#options;
    if (session.severed) return;
    effect();
    session.unsettled.delete(this);
    onSettled?.(this);
    rabbit.changed();
  }
}
