import { join } from "node:path";
import { systemClock } from "../core/contract/clock.ts";
import { openDocument } from "../store/client.ts";
import { openStore, type Store } from "../store/store.ts";
import { createTable } from "../store/table.ts";
import type { CloudListener, CloudPart } from "./cloud-events.ts";
import { startDynamo } from "./dynamodb.ts";
import type { LocalSettings } from "./environment.ts";
import type { Rabbit } from "./rabbitmq/rabbit.ts";
import { startRabbit } from "./rabbitmq/start.ts";

export const TABLE = "roger";
/** For everything that speaks AWS: nothing of it ever leaves this machine. */
export const REGION = "local";
export const CREDENTIALS = { accessKeyId: "local", secretAccessKey: "local" } as const;

export interface Backends {
  readonly dynamoEndpoint: string;
  readonly store: Store;
  readonly rabbit: Rabbit;
}

export interface BackendOptions {
  readonly settings: LocalSettings;
  /** Where state is kept that outlives the cloud. */
  readonly dir: string;
  /** What is started is pushed here as soon as it runs. */
  readonly releases: AsyncDisposableStack;
  readonly onUp: (part: CloudPart, how: string) => void;
  readonly onEvent: CloudListener;
}

/** Starts DynamoDB with its table and RabbitMQ, side by side. @throws the first failure, once both have settled */
export async function openBackends(options: BackendOptions): Promise<Backends> {
  const starts = [openDynamo(options), openRabbit(options)] as const;
  // A start that is still under way could not be unwound.
  await Promise.allSettled(starts);
  const [dynamo, rabbit] = await Promise.all(starts);
  return { ...dynamo, rabbit };
}

async function openDynamo({ settings, dir, releases, onUp }: BackendOptions): Promise<Omit<Backends, "rabbit">> {
  let endpoint = settings.dynamoEndpoint;
  if (endpoint === undefined) {
    const dynamo = await startDynamo(settings.dataDir === undefined ? {} : { path: join(dir, "dynamodb") });
    releases.defer(() => dynamo.stop());
    endpoint = dynamo.endpoint;
  }
  const document = openDocument({ endpoint, region: REGION });
  releases.defer(() => document.destroy());
  await createTable(document, TABLE);
  onUp("DynamoDB", endpoint);
  return { dynamoEndpoint: endpoint, store: openStore({ document, table: TABLE, clock: systemClock }) };
}

async function openRabbit({ settings, dir, releases, onUp, onEvent }: BackendOptions): Promise<Rabbit> {
  const rabbit = await startRabbit({
    amqpUrl: settings.amqpUrl,
    dataDir: settings.dataDir === undefined ? undefined : join(dir, "rabbitmq"),
    onProgress: (line) => onEvent({ kind: "progress", line }),
  });
  releases.defer(() => rabbit.stop());
  onUp("RabbitMQ", rabbit.how);
  return rabbit;
}
