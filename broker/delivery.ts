import type { ConsumeMessage } from "amqplib";
import type { Delivery } from "../core/job/broker.ts";
import type { Tagged } from "./ack-tracker.ts";

/** The channel that delivered: only there may a delivery be settled. */
export interface Settler {
  readonly lost: boolean;
  ack(delivery: ReceivedDelivery): void;
  nack(delivery: ReceivedDelivery): void;
}

/** Whose delivery it is. */
export interface DeliveryOwner {
  readonly brokerQueue: string;
  /** The channel is gone; these were unsettled. */
  lost(deliveries: readonly ReceivedDelivery[]): void;
}

/**
 * One message in our hands. It holds on to its channel, so that a settlement can never reach another one, where its
 * tag would mean a different message. Settling twice does nothing the second time.
 */
export class ReceivedDelivery implements Delivery, Tagged {
  readonly tag: number;
  readonly message: ConsumeMessage;
  readonly owner: DeliveryOwner;
  private readonly settler: Settler;

  constructor(message: ConsumeMessage, owner: DeliveryOwner, settler: Settler) {
    this.tag = message.fields.deliveryTag;
    this.message = message;
    this.owner = owner;
    this.settler = settler;
  }

  get brokerQueue(): string {
    return this.owner.brokerQueue;
  }

  get body(): Buffer {
    return this.message.content;
  }

  get messageId(): string | undefined {
    const id: unknown = this.message.properties.messageId;
    return typeof id === "string" ? id : undefined;
  }

  get redelivered(): boolean {
    return this.message.fields.redelivered;
  }

  /** RabbitMQ 4 counts acquisitions too; before, only failed deliveries. */
  get deliveryCount(): number {
    const headers = this.message.properties.headers;
    const count: unknown = headers?.["x-acquired-count"] ?? headers?.["x-delivery-count"];
    return typeof count === "number" ? count : 0;
  }

  get deadFrom(): string | undefined {
    const queue: unknown = this.message.properties.headers?.["x-first-death-queue"];
    return typeof queue === "string" ? queue : undefined;
  }

  get lost(): boolean {
    return this.settler.lost;
  }

  ack(): void {
    this.settler.ack(this);
  }

  nack(): void {
    this.settler.nack(this);
  }
}
