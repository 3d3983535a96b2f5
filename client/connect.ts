import { openBroker } from "../broker/broker.ts";
import type { BrokerListener } from "../broker/events.ts";
import { systemClock } from "../core/contract/clock.ts";
import { InvalidInput } from "../core/contract/errors.ts";
import { openDocument } from "../store/client.ts";
import { openStore } from "../store/store.ts";
import { Client } from "./client.ts";
import { BrokerLine } from "./line.ts";

export interface ConnectOptions {
  /** The name of Roger's table. */
  readonly table: string;
  /**
   * `amqp://` or `amqps://`: jobs are published straight to RabbitMQ. Without it every job goes by way of the table, which
   * needs no network to RabbitMQ and costs half a second and a few writes. @default none
   */
  readonly amqpUrl?: string;
  /** @default what the AWS SDK reads from the environment */
  readonly region?: string;
  /** An emulator's URL. @default what the AWS SDK reads from the environment */
  readonly endpoint?: string;
  /** RabbitMQ has this long for each of two tries; then the job goes to the outbox. @default 3_000 */
  readonly publishDeadlineMs?: number;
  /** Shown by RabbitMQ's tools beside the connection. @default "roger-client" */
  readonly name?: string;
  /** Connections that come and go. @default nobody listens */
  readonly onEvent?: BrokerListener;
}

const OPTIONS: readonly string[] = [
  "table",
  "amqpUrl",
  "region",
  "endpoint",
  "publishDeadlineMs",
  "name",
  "onEvent",
] satisfies (keyof ConnectOptions)[];
const PUBLISH_MS = 3_000;
const MOST_PUBLISH_MS = 60_000;
/** What a connection that is given up gets to finish in. */
const GOODBYE_MS = 2_000;

/**
 * Makes a client; opens nothing yet.
 * @throws InvalidInput naming the option that is wrong
 */
export function connect(options: ConnectOptions): Client {
  for (const key of Object.keys(options)) {
    if (!OPTIONS.includes(key)) throw new InvalidInput(key, "is no option of connect");
  }
  const { table, amqpUrl, region, endpoint, publishDeadlineMs = PUBLISH_MS } = options;
  if (typeof table !== "string" || table === "") throw new InvalidInput("table", "must name Roger's table");
  if (!(publishDeadlineMs >= 1 && publishDeadlineMs <= MOST_PUBLISH_MS)) {
    throw new InvalidInput("publishDeadlineMs", `must be a number of milliseconds from 1 to ${MOST_PUBLISH_MS}`);
  }
  const document = openDocument({ ...(region === undefined ? {} : { region }), ...(endpoint === undefined ? {} : { endpoint }) });
  return new Client({
    table,
    store: openStore({ document, table, clock: systemClock }),
    line: amqpUrl === undefined ? undefined : lineTo(withoutHeartbeat(amqpUrl), publishDeadlineMs, options),
    clock: systemClock,
    release: () => document.destroy(),
  });
}

function lineTo(url: string, publishDeadlineMs: number, { name = "roger-client", onEvent }: ConnectOptions): BrokerLine {
  const open = () =>
    openBroker({
      url,
      name,
      publishDeadlineMs,
      connectDeadlineMs: publishDeadlineMs,
      rpcDeadlineMs: publishDeadlineMs,
      closeDeadlineMs: GOODBYE_MS,
      ...(onEvent === undefined ? {} : { onEvent }),
    });
  return new BrokerLine(open, systemClock);
}

/**
 * A process that is frozen for a minute sends no heartbeat, and finds its connection closed when it goes on. Deadlines see
 * to dead connections, so there is none unless the URL asks for it.
 * @throws InvalidInput without the URL, which may hold a password
 */
function withoutHeartbeat(amqpUrl: string): string {
  const url = URL.canParse(amqpUrl) ? new URL(amqpUrl) : undefined;
  if (url?.protocol !== "amqp:" && url?.protocol !== "amqps:") throw new InvalidInput("amqpUrl", "must begin with amqp:// or amqps://");
  if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", "0");
  return url.href;
}
