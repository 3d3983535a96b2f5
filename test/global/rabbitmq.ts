import type { TestProject } from "vitest/node";
import { startRabbit } from "../../local/rabbitmq/start.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** One RabbitMQ for the whole run: a test isolates itself by a partition name of its own. */
    amqpUrl: string;
  }
}

/** Names a broker for every run below this process: `test/run.ts` sets it, and so does the first project that starts one. */
const HANDED_DOWN = "ROGER_TEST_AMQP_URL";

/**
 * vitest runs this once per project, one after the other, and tears all of them down at the end.
 * A run without a broker fails here with the reason: tests that were skipped would look like tests that passed.
 */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const handedDown = process.env[HANDED_DOWN];
  const rabbit = await startRabbit({ amqpUrl: handedDown, onProgress: (line) => project.vitest.logger.log(line) });
  project.provide("amqpUrl", rabbit.url);
  if (handedDown !== undefined) return undefined;
  process.env[HANDED_DOWN] = rabbit.url;
  return async () => {
    delete process.env[HANDED_DOWN];
    await rabbit.stop();
  };
}
