import { installWithApt } from "./apt.ts";
import { startContainer } from "./docker.ts";
import { findInstallation } from "./find.ts";
import { startPrivateNode } from "./private-node.ts";
import type { Rabbit, RabbitOptions } from "./rabbit.ts";

/**
 * A RabbitMQ to work with, whatever this machine has:
 * the one that the caller names, else a private node of an installed RabbitMQ, else a container, else (as root on Debian or
 * Ubuntu) one that apt-get installs and we run as a private node. Nothing but the last changes the machine.
 * @throws Error that says why each way was closed and what a person can do
 */
export async function startRabbit(options: RabbitOptions = {}): Promise<Rabbit> {
  if (options.amqpUrl !== undefined) return strangersBroker(options.amqpUrl);
  const tell = options.onProgress ?? (() => undefined);

  const installed = await findInstallation();
  if (installed !== undefined) return startPrivateNode(installed, options);

  const container = await startContainer(tell, options);
  if (typeof container !== "string") return container;

  const unwilling = await installWithApt(tell);
  const fresh = unwilling === undefined ? await findInstallation() : undefined;
  if (fresh !== undefined) return startPrivateNode(fresh, options);

  throw new Error(
    [
      "there is no RabbitMQ to be had here:",
      "  installed: no rabbitmq-server with an epmd was found",
      `  Docker: ${container}`,
      `  apt-get: ${unwilling ?? "it installed a rabbitmq-server that we can't find"}`,
      "Install RabbitMQ (Debian: apt-get install rabbitmq-server, macOS: brew install rabbitmq), start Docker, or set ROGER_AMQP_URL to a broker.",
    ].join("\n"),
  );
}

function strangersBroker(url: string): Rabbit {
  const { host } = new URL(url);
  const refuse = (what: string) => Promise.reject(new Error(`the broker at ${host} isn't ours to ${what}`));
  return { url, how: `the broker at ${host}`, stop: async () => undefined, kill: () => refuse("kill"), restart: () => refuse("restart") };
}
