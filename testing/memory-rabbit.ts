import { emptyState, type MemoryState } from "./memory-state.ts";
import { returnAll, type TakenMessage, takeMessage } from "./queue-state.ts";

/** Where messages of one queue are sent. */
export interface Consumer {
  readonly queue: string;
  /** Whether another message may be sent. */
  hasRoom(): boolean;
  take(taken: TakenMessage): void;
  /** Its queue was removed. */
  cancelled(): void;
}

/**
 * RabbitMQ in memory, as far as jobs can tell: queues in order, unacked messages, redeliveries and their count, prefetch,
 * unroutable messages, lost connections. It does by itself only one thing: it sends messages to consumers that have
 * room, right after what made that possible, and each through the hook of the process that receives it.
 *
 * A process connects to it with `new MemoryBroker(rabbit, hook)`. What it does not play: acks that travel together, messages that were on their way to a consumer when it was cancelled,
 * memory alarms, replicas.
 */
export class MemoryRabbit {
  readonly state: MemoryState;
  #consumers: Consumer[] = [];
  #sending = false;

  /** @param state what was in anybody's hands in it goes back to its queue */
  constructor(state: MemoryState = emptyState()) {
    this.state = state;
    returnAll(state);
  }

  addConsumer(consumer: Consumer): void {
    this.#consumers.push(consumer);
    this.changed();
  }

  removeConsumer(consumer: Consumer): void {
    this.#consumers = this.#consumers.filter((other) => other !== consumer);
  }

  /** The queue, its messages and its consumers are gone; what of it is in somebody's hands can be settled, which does nothing. */
  removeQueue(name: string): void {
    delete this.state.queues[name];
    const cancelled = this.#consumers.filter(({ queue }) => queue === name);
    for (const consumer of cancelled) {
      this.removeConsumer(consumer);
      consumer.cancelled();
    }
  }

  /** A message came or came back, or a consumer has room again. */
  changed(): void {
    if (this.#sending) return;
    this.#sending = true;
    queueMicrotask(() => {
      this.#sending = false;
      this.#send();
    });
  }

  /** Consumers of one queue take turns. */
  #send(): void {
    for (let served = true; served; ) {
      served = false;
      for (const consumer of [...this.#consumers]) {
        const taken = consumer.hasRoom() ? takeMessage(this.state, consumer.queue) : undefined;
        if (taken === undefined) continue;
        consumer.take(taken);
        served = true;
      }
    }
  }
}
