/**
 * What the broker room tells of itself. Logging subscribes to these; nothing here writes a line.
 *
 * | kind | when |
 * |---|---|
 * | `connected`, `disconnected` | a connection is up, was up |
 * | `connect_failed` | an attempt to connect failed; the next one follows by itself |
 * | `blocked`, `unblocked` | RabbitMQ has a memory or disk alarm: it takes no messages, publishes wait |
 * | `channel_lost` | RabbitMQ closed one channel, or it did not answer; the connection lives on |
 * | `consumer_cancelled` | RabbitMQ ended a consumer (its queue was deleted); it is begun again |
 * | `queue_created` | a queue was missing and was declared |
 * | `retrying` | something the room keeps up failed; it is tried again after `delayMs` |
 * | `listener_failed` | a callback given to this room threw: a bug of its owner |
 */
export type BrokerEvent =
  | { readonly kind: "connected"; readonly connection: string }
  | { readonly kind: "disconnected"; readonly connection: string; readonly error: Error }
  | { readonly kind: "connect_failed"; readonly connection: string; readonly error: Error }
  | { readonly kind: "blocked"; readonly connection: string; readonly reason: string }
  | { readonly kind: "unblocked"; readonly connection: string }
  | { readonly kind: "channel_lost"; readonly channel: string; readonly error: Error | undefined }
  | { readonly kind: "consumer_cancelled"; readonly brokerQueue: string }
  | { readonly kind: "queue_created"; readonly brokerQueue: string }
  | { readonly kind: "retrying"; readonly what: string; readonly error: unknown; readonly delayMs: number }
  | { readonly kind: "listener_failed"; readonly listener: string; readonly error: unknown };

export type BrokerListener = (event: BrokerEvent) => void;

/** Wraps a listener so that it cannot break the loop that reports to it. */
export function unbreakable(listener: BrokerListener): BrokerListener {
  return (event) => {
    try {
      listener(event);
    } catch (error) {
      if (event.kind === "listener_failed") return; // it failed at hearing that it fails: there is nobody left to tell
      unbreakable(listener)({ kind: "listener_failed", listener: "onEvent", error });
    }
  };
}
