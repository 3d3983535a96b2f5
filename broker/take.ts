import type { Channel, ConsumeMessage } from "amqplib";
import { Window } from "../core/contract/window.ts";
import type { TakeOptions } from "../core/job/broker.ts";

/** Messages that RabbitMQ sends ahead; those that `settle` leaves count among them until the end. */
const PREFETCH = 200;
/** Messages that are being settled at once. */
const WIDTH = 16;
/** Others may take what was counted: nothing that comes for so long ends it. */
const IDLE_MS = 1_000;

/**
 * Takes ready messages, oldest first, on a channel that does nothing else and is closed afterwards: what was not acked
 * goes back then, and not before, so that no message is met twice. It consumes, for a quorum queue writes to its log for
 * each single `get`; and it ends by the count that it began with, for the queue may never be empty.
 * @throws what `settle` threw first; those that were settled before are acked
 */
export async function takeMessages(channel: Channel, brokerQueue: string, { limit, withinMs, settle }: TakeOptions): Promise<number> {
  const { messageCount } = await channel.checkQueue(brokerQueue);
  const wanted = Math.min(limit, messageCount);
  if (wanted === 0) return 0;
  const over = Promise.withResolvers<void>();
  const window = new Window(WIDTH);
  const settling: Promise<void>[] = [];
  let taken = 0;
  let left = wanted;
  let open = true;
  const late = setTimeout(over.resolve, withinMs);
  const idle = setTimeout(over.resolve, IDLE_MS);

  const settleOne = async (message: ConsumeMessage): Promise<void> => {
    try {
      // What waits for its turn when the time is up has none any more.
      if (await window.run(async () => open && (await settle(message.content)))) {
        channel.ack(message);
        taken += 1;
      }
      idle.refresh();
      left -= 1;
      if (left === 0) over.resolve();
    } catch (error) {
      over.reject(error);
      throw error;
    }
  };
  const onMessage = (message: ConsumeMessage | null): void => {
    // The queue was removed: RabbitMQ ends the consumer.
    if (message === null) over.resolve();
    else if (open && settling.length < wanted) {
      idle.refresh();
      settling.push(settleOne(message));
    }
  };
  // It may fail before it is waited for.
  over.promise.catch(() => undefined);
  try {
    await channel.prefetch(Math.min(wanted, PREFETCH));
    const { consumerTag } = await channel.consume(brokerQueue, onMessage);
    await over.promise.finally(() => {
      open = false;
    });
    await channel.cancel(consumerTag);
  } finally {
    clearTimeout(late);
    clearTimeout(idle);
    await Promise.allSettled(settling);
  }
  return taken;
}
