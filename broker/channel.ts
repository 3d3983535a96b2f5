import type { Channel } from "amqplib";
import type { SupervisedConnection } from "./connection.ts";
import { Deadline, unavailable } from "./deadline.ts";

/** What one polite goodbye of a channel may take. */
const CLOSE_MS = 2_000;

/**
 * Opens a channel, with the listeners without which an error of it would end the process.
 * @param opening what `createChannel` or `createConfirmChannel` gave
 * @throws BrokerUnavailable when it is not open before the deadline; should it open later, it is closed again
 */
export async function openChannel<C extends Channel>(opening: Promise<C>, deadline: Deadline, onError?: (error: Error) => void): Promise<C> {
  let channel: C;
  try {
    channel = await deadline.within(opening, "open a channel");
  } catch (error) {
    opening.then(closeChannel, () => undefined); // its failure is the one thrown below, or came too late to matter
    throw unavailable("open a channel", error);
  }
  // Whoever waits for an answer gets the error too: these listeners are for those who want to hear of it unasked.
  channel.on("error", (error) => onError?.(error));
  channel.on("handler-error", (error) => onError?.(error));
  return channel;
}

/** Closes a channel if it is open still. Never throws, and waits no longer than a moment. */
export async function closeChannel(channel: Channel): Promise<void> {
  // n.b. the promise of amqplib's close never settles when the connection is lost meanwhile; the event always comes.
  const gone = new Promise<void>((resolve) => channel.once("close", resolve));
  const closed = channel.close().catch(() => undefined); // rejects at once when it is closed already: what we want
  await new Deadline(CLOSE_MS).within(Promise.race([gone, closed]), "close a channel").catch(() => undefined); // then it ends with its connection
}

/**
 * Does `work` on a channel of its own, so that an error of it touches nobody else.
 * @throws BrokerUnavailable when it fails or is not done before the deadline
 */
export async function withChannel<T>(
  connection: SupervisedConnection,
  deadlineMs: number,
  what: string,
  work: (channel: Channel) => Promise<T>,
): Promise<T> {
  const deadline = new Deadline(deadlineMs);
  const model = await connection.ready(deadline);
  const channel = await openChannel(model.createChannel(), deadline);
  try {
    return await deadline.within(work(channel), what);
  } finally {
    await closeChannel(channel);
  }
}
