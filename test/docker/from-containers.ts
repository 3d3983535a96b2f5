import { connect, isIPv4 } from "node:net";

/** A name that Docker Desktop gives the machine that it runs on. */
const DESKTOP = { system: "Docker Desktop", host: "host.docker.internal" };
const CONNECT_MS = 5_000;

/**
 * A URL of this machine as a container has it: not this machine's loopback, but the gateway of Docker's own network, where
 * published ports are open, too.
 */
export async function urlForContainers(local: string): Promise<string> {
  const { getContainerRuntimeClient } = await import("testcontainers");
  const { container, info } = await getContainerRuntimeClient();
  const url = new URL(local);
  const onDesktop = info.containerRuntime.operatingSystem === DESKTOP.system;
  url.hostname = onDesktop ? DESKTOP.host : gatewayOf((await container.dockerode.getNetwork("bridge").inspect()) as Network);
  return url.href;
}

interface Network {
  readonly IPAM?: { readonly Config?: readonly { readonly Gateway?: string; readonly Subnet?: string }[] };
}

/** n.b. some Dockers leave out the gateway that they have chosen themselves: then it is the subnet's first address. */
export function gatewayOf({ IPAM }: Network): string {
  const { Gateway, Subnet } = IPAM?.Config?.find(({ Subnet = "" }) => isIPv4(Subnet.replace(/\/.*/, ""))) ?? {};
  const first = Gateway ?? Subnet?.replace(/\d+\/\d+$/, "1");
  if (first === undefined) throw new Error("Docker's bridge network has no IPv4 gateway: containers could not reach this machine");
  return first;
}

/**
 * Why containers can't reach what listens at a URL of this machine, for people; undefined when they can. Docker Desktop's name
 * for this machine means nothing here, so there it is taken on trust.
 */
export async function whyOutOfReach(local: string): Promise<string | undefined> {
  const url = await urlForContainers(local);
  const { hostname, port } = new URL(url);
  if (hostname === DESKTOP.host || (await accepts(hostname, Number(port)))) return undefined;
  return `containers would reach ${local} at ${url}, where nothing listens: it must not listen on loopback alone`;
}

async function accepts(host: string, port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ host, port, timeout: CONNECT_MS });
  socket.once("connect", () => resolve(true));
  socket.once("timeout", () => resolve(false));
  socket.once("error", () => resolve(false));
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}
