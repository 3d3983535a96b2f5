import type { Subscription, SubscriptionOptions } from "../core/job/broker.ts";
import { type Hook, throughHook } from "./calls.ts";
import { MemoryDelivery, type Session } from "./memory-delivery.ts";
import type { Consumer, MemoryRabbit } from "./memory-rabbit.ts";
import { declareQueue, type TakenMessage } from "./queue-state.ts";

/** A consumer of a queue as RabbitMQ knows it: its prefetch never changes. */
interface Consuming extends Consumer {
  readonly prefetch: number;
}

/**
 * A standing wish to consume one queue. As in broker/subscription.ts, to raise the prefetch is to add a consumer for the
 * difference; to lower it is to cancel the newest ones, and what those have delivered stays in hands beside it.
 */
export class MemorySubscription implements Subscription {
  readonly #rabbit: MemoryRabbit;
  readonly #hook: Hook;
  readonly #options: SubscriptionOptions;
  #prefetch: number;
  #session: Session | undefined;
  #consumers: Consuming[] = [];
  #stopped = false;

  constructor(rabbit: MemoryRabbit, hook: Hook, options: SubscriptionOptions) {
    this.#rabbit = rabbit;
    this.#hook = hook;
    this.#options = options;
    this.#prefetch = checkedPrefetch(options.prefetch);
  }

  /** n.b. not async: a prefetch that is none is the caller's bug, and thrown at once. */
  setPrefetch(prefetch: number): Promise<void> {
    checkedPrefetch(prefetch);
    return throughHook(this.#hook, { port: "subscription", method: "setPrefetch", args: [this.#options.brokerQueue, prefetch] }, () => {
      this.#prefetch = prefetch;
      this.#follow();
    });
  }

  stop(): Promise<void> {
    return throughHook(this.#hook, { port: "subscription", method: "stop", args: [this.#options.brokerQueue] }, () => {
      this.#stopped = true;
      this.end();
    });
  }

  /** The channel is there. */
  begin(session: Session): void {
    this.#session = session;
    this.#follow();
  }

  /** The channel is gone, or nothing more is wanted. */
  end(): void {
    this.#session = undefined;
    for (const consumer of this.#consumers.splice(0)) this.#rabbit.removeConsumer(consumer);
  }

  #follow(): void {
    const session = this.#session;
    if (session === undefined || this.#stopped) return;
    declareQueue(this.#rabbit.state, this.#options.brokerQueue);
    while (this.#allowed() > this.#prefetch) {
      const newest = this.#consumers.pop();
      if (newest !== undefined) this.#rabbit.removeConsumer(newest);
    }
    const lacking = this.#prefetch - this.#allowed();
    if (lacking === 0) return;
    const consumer = this.#consumer(lacking, session);
    this.#consumers.push(consumer);
    this.#rabbit.addConsumer(consumer);
  }

  #allowed(): number {
    return this.#consumers.reduce((sum, { prefetch }) => sum + prefetch, 0);
  }

  #consumer(prefetch: number, session: Session): Consuming {
    const inHands = new Set<MemoryDelivery>();
    const consumer: Consuming = {
      queue: this.#options.brokerQueue,
      prefetch,
      hasRoom: () => inHands.size < prefetch,
      take: (taken) => {
        const delivery = this.#deliveryOf(taken, session, (settled) => inHands.delete(settled));
        inHands.add(delivery);
        session.unsettled.add(delivery);
        throughHook(this.#hook, { port: "delivery", method: "deliver", args: [delivery] }, () => this.#handOn(delivery)).catch(() => {
          // The hook had it lost on its way: it is in the hands of the channel until that is gone.
        });
      },
      cancelled: () => {
        this.#consumers = this.#consumers.filter((other) => other !== consumer);
        queueMicrotask(() => this.#follow());
      },
    };
    return consumer;
  }

  #deliveryOf(taken: TakenMessage, session: Session, onSettled: (delivery: MemoryDelivery) => void): MemoryDelivery {
    const { brokerQueue } = this.#options;
    return new MemoryDelivery({ taken, brokerQueue, session, owner: this.#options, rabbit: this.#rabbit, hook: this.#hook, onSettled });
  }

  /** What comes too late for its receiver goes back. One that throws has not taken it. */
  #handOn(delivery: MemoryDelivery): void {
    if (delivery.lost) return;
    delivery.handedOn = true;
    try {
      if (this.#stopped) delivery.nack();
      else this.#options.onDelivery(delivery);
    } catch {
      delivery.nack();
    }
  }
}

/** @throws RangeError */
function checkedPrefetch(prefetch: number): number {
  if (!Number.isInteger(prefetch) || prefetch < 1 || prefetch > 65_535) throw new RangeError(`prefetch ${prefetch}: a whole number from 1 to 65535`);
  return prefetch;
}
