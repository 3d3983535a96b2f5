import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";

export interface DocumentOptions {
  /** An emulator's URL: requests are then signed with credentials that mean nothing. @default what the SDK reads from the environment */
  readonly endpoint?: string;
  /** @default what the SDK reads from the environment; `us-east-1` for an `endpoint` */
  readonly region?: string;
}

/**
 * The one client of a process. A request that hangs is given up after 3 s and sent again, three times in all: it ends
 * within about 10 s, and a write in doubt, which reads back, within twice that. Whoever opens it calls `destroy()` at the end.
 */
export function openDocument({ endpoint, region }: DocumentOptions = {}): DynamoDBDocumentClient {
  const client = new DynamoDBClient({
    maxAttempts: 3,
    // n.b. the handler's timers run before its sockets' events: only from 2 s on does it look twice, so that a blocked event
    // loop, or a request that waits for one of the 50 sockets, does not count as a DynamoDB that can't be reached. And a lost
    // SYN is sent again after 1 s.
    // n.b. without throwOnRequestTimeout the SDK only logs a warning at requestTimeout and goes on waiting.
    requestHandler: { connectionTimeout: 2_500, requestTimeout: 3_000, throwOnRequestTimeout: true },
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint, region: region ?? "us-east-1", credentials: { accessKeyId: "local", secretAccessKey: "local" } }),
  });
  // n.b. the SDK takes a map with the key "constructor" for a class's instance, and a tenant may call a queue so.
  const marshallOptions = { removeUndefinedValues: true, convertClassInstanceToMap: true };
  const document = DynamoDBDocumentClient.from(client, { marshallOptions });
  // n.b. the document client's own destroy does nothing: it expects the inner client's owner to do it, and that is us.
  document.destroy = () => client.destroy();
  return document;
}
