import { describeError } from "../../core/contract/errors.ts";
import { freePort } from "../free-port.ts";
import { advancedConfig, type Rabbit, type RabbitOptions, READY_DEADLINE_MS } from "./rabbit.ts";

const IMAGE = "rabbitmq:4-management";
const AMQP_PORT = 5672;
/** What a broker gets to close its files in before it is killed. */
const STOP_MS = 20_000;

/** Why no container can be run here, for people; undefined when Docker answers. */
export async function whyNoDocker(): Promise<string | undefined> {
  try {
    // Imported only here: it is large, and most machines with RabbitMQ never need it.
    const { getContainerRuntimeClient } = await import("testcontainers");
    await getContainerRuntimeClient();
    return undefined;
  } catch (error) {
    return describeError(error).message;
  }
}

/**
 * A RabbitMQ 4 in a container that ends with this process (Testcontainers' reaper sees to that).
 * @returns why not, when Docker doesn't answer or has no such image
 */
export async function startContainer(tell: (line: string) => void, options: RabbitOptions = {}): Promise<Rabbit | string> {
  const closed = await whyNoDocker();
  if (closed !== undefined) return closed;
  tell(`starting RabbitMQ in a container (${IMAGE}; the first time downloads it)`);
  try {
    return await runContainer(options);
  } catch (error) {
    return describeError(error).message;
  }
}

async function runContainer(options: RabbitOptions): Promise<Rabbit> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import("testcontainers");
  // A port that Docker chooses would be another one after a restart.
  const port = await freePort();
  const container = await new GenericContainer(IMAGE)
    .withExposedPorts({ container: AMQP_PORT, host: port })
    .withCopyContentToContainer([{ content: advancedConfig(options), target: "/etc/rabbitmq/advanced.config" }])
    .withWaitStrategy(Wait.forLogMessage("Server startup complete"))
    .withStartupTimeout(READY_DEADLINE_MS)
    .start();
  const { container: docker } = await getContainerRuntimeClient();
  let stopped: Promise<unknown> | undefined;
  return {
    url: `amqp://guest:guest@${container.getHost()}:${port}`,
    how: `container of ${IMAGE}`,
    stop: async () => {
      stopped ??= container.stop();
      await stopped;
    },
    kill: async () => {
      await docker.getById(container.getId()).kill({ signal: "SIGKILL" });
    },
    // Docker starts a container that is down, too; then Testcontainers waits for readiness anew.
    restart: () => container.restart({ timeout: STOP_MS }),
  };
}
