/**
 * The broker's URL as another container has it: not this machine's loopback, but the gateway of Docker's own network, where
 * published ports are open, too.
 */
export async function amqpUrlForContainers(amqpUrl: string): Promise<string> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  const { container } = await getContainerRuntimeClient();
  const bridge = await container.dockerode.getNetwork("bridge").inspect();
  const url = new URL(amqpUrl);
  url.hostname = bridge.IPAM?.Config?.[0]?.Gateway ?? url.hostname;
  return url.href;
}
