import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import dynalite from "dynalite";

export interface DynamoOptions {
  /** Keep the tables in this directory. @default in memory, forgotten at the end */
  readonly path?: string;
  /** @default a free one */
  readonly port?: number;
}

export interface Dynamo {
  /** What `AWS_ENDPOINT_URL_DYNAMODB` should say. Any credentials and any region do. */
  readonly endpoint: string;
  /** Ends it, cutting off whoever is still connected. May be called twice. */
  stop(): Promise<void>;
}

/**
 * A DynamoDB inside this process, on 127.0.0.1. It has no transactions and no TTL, and it ignores
 * `ReturnValuesOnConditionCheckFailure`: the store needs none of them.
 * @throws Error when the port is taken or the directory is in use by another one
 */
export async function startDynamo(options: DynamoOptions = {}): Promise<Dynamo> {
  if (options.path !== undefined) await mkdir(options.path, { recursive: true });
  const server = dynalite({
    ...(options.path === undefined ? {} : { path: options.path }),
    // AWS takes seconds for this; nobody here learns anything from waiting.
    createTableMs: 0,
    updateTableMs: 0,
    deleteTableMs: 0,
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  let stopped: Promise<void> | undefined;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    stop: () => {
      stopped ??= new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        // SDK clients keep connections alive, and `close` waits for those in use.
        server.closeAllConnections();
      });
      return stopped;
    },
  };
}
