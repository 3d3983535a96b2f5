import { InvalidInput } from "../core/contract/errors.ts";
import { CONNECT_DEADLINE_MS, LIMITS, PUBLISH_DEADLINE_MS } from "../core/contract/limits.ts";
import { type BrokerListener, unbreakable } from "./events.ts";

/** What a caller says of its broker; everything but the URL and the name has a default. */
export interface BrokerOptions {
  /** `amqp://` or `amqps://`. */
  readonly url: string;
  /** Shown by RabbitMQ's tools beside each connection. */
  readonly name: string;
  /** @default nobody listens */
  readonly onEvent?: BrokerListener;
  /** @default CONNECT_DEADLINE_MS */
  readonly connectDeadlineMs?: number;
  /** @default PUBLISH_DEADLINE_MS */
  readonly publishDeadlineMs?: number;
  /** Any other question to RabbitMQ. @default 10_000 */
  readonly rpcDeadlineMs?: number;
  /** What a polite goodbye may take, per step. @default 3_000 */
  readonly closeDeadlineMs?: number;
  /** @default LIMITS.confirmWindow */
  readonly confirmWindow?: number;
  /** Publishes that may wait for the window or for a connection. @default 10_000 */
  readonly waitingPublishes?: number;
  /** Ask a queue for its leader before the first publish to it: one connection more, and no queue holds up the others. @default false */
  readonly asksBeforePublish?: boolean;
  /** Partitions on one connection. @default LIMITS.channelsPerConnection */
  readonly channelsPerConnection?: number;
}

export type BrokerSettings = Required<BrokerOptions>;

/** Seconds. RabbitMQ and amqplib each give a silent peer up after two to three of these. */
const HEARTBEAT_S = 10;

/** @throws InvalidInput when the URL is none; it is not repeated in the message, for it may hold a password */
export function brokerSettings(options: BrokerOptions): BrokerSettings {
  return {
    name: options.name,
    url: amqpUrl(options.url),
    onEvent: unbreakable(options.onEvent ?? (() => undefined)),
    connectDeadlineMs: options.connectDeadlineMs ?? CONNECT_DEADLINE_MS,
    publishDeadlineMs: options.publishDeadlineMs ?? PUBLISH_DEADLINE_MS,
    rpcDeadlineMs: options.rpcDeadlineMs ?? 10_000,
    closeDeadlineMs: options.closeDeadlineMs ?? 3_000,
    confirmWindow: options.confirmWindow ?? LIMITS.confirmWindow,
    waitingPublishes: options.waitingPublishes ?? 10_000,
    asksBeforePublish: options.asksBeforePublish ?? false,
    channelsPerConnection: options.channelsPerConnection ?? LIMITS.channelsPerConnection,
  };
}

function amqpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "amqp:" && url?.protocol !== "amqps:") throw new InvalidInput("amqp url", "must begin with amqp:// or amqps://");
  if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", String(HEARTBEAT_S));
  return url.href;
}
