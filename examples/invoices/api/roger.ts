import { type Client, clientEnvironment, connect } from "roger-serverless";

let connected: Client | undefined;

/** One client for the process. `ROGER_TABLE` is its environment's; without `ROGER_AMQP_URL` jobs go by way of the table. */
export function openRoger(): Client {
  connected ??= connect(clientEnvironment());
  return connected;
}
