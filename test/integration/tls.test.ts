import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { BrokerWorld } from "../broker-world.ts";
import { Authority } from "../fixture/certificates.ts";
import { runChild } from "../infra/graph/child.ts";

/**
 * Amazon MQ takes TLS connections only. Here a door stands in front of RabbitMQ which speaks TLS with a certificate of our
 * own authority, whichever RabbitMQ it is; to the process that connects, the door is the broker.
 */
const CLIENT = new URL("../fixture/tls-process.ts", import.meta.url).pathname;

const world = new BrokerWorld();
const releases = new AsyncDisposableStack();
let directory: string;
let ours: Authority;
let port: number;

beforeAll(async () => {
  releases.defer(() => world.close());
  directory = await mkdtemp(join(tmpdir(), "roger-test-"));
  releases.defer(() => rm(directory, { recursive: true }));
  ours = await Authority.make(directory, "ours");
  port = await openDoor(await ours.sign("broker", ["DNS:localhost"]));
  await (await world.broker()).admin.ensure(world.queue());
});
afterAll(() => releases.disposeAsync());

async function openDoor(identity: { readonly key: Buffer; readonly cert: Buffer }): Promise<number> {
  const broker = new URL(inject("amqpUrl"));
  const door = createServer({ ...identity, minVersion: "TLSv1.2" }, (client) => {
    const server = connect({ host: broker.hostname, port: Number(broker.port || 5672), noDelay: true });
    client.pipe(server).pipe(client);
    // Whoever is left hears of it by the other's end.
    client.on("error", () => server.destroy());
    server.on("error", () => client.destroy());
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  releases.defer(async () => void door.close());
  return (door.address() as AddressInfo).port;
}

interface Outcome {
  readonly body?: string;
  readonly publishing?: string;
  readonly asking?: string;
}

/** What a process comes to that trusts this authority and asks for the broker by this name. */
async function overTls(trusted: Authority, host: string, patienceMs: number): Promise<Outcome> {
  const { username, password } = new URL(inject("amqpUrl"));
  const url = `amqps://${username}:${password}@${host}:${port}`;
  const env = { NODE_EXTRA_CA_CERTS: trusted.certificate };
  return JSON.parse(await runChild(process.execPath, [CLIENT, url, world.partition, String(patienceMs)], { env })) as Outcome;
}

describe("over TLS", () => {
  it("a job is published and consumed by who trusts the broker's authority", async () => {
    expect(await overTls(ours, "localhost", 20_000)).toEqual({ body: "a job" });
  });

  it("a broker of another authority is not spoken to, and whoever waits is told why", async () => {
    const { publishing, asking } = await overTls(await Authority.make(directory, "other"), "localhost", 1_500);
    expect(publishing).toMatch(/not connected to RabbitMQ \(the last attempt: unable to verify the first certificate/);
    expect(asking).toMatch(/^connect to RabbitMQ: no answer within 1500 ms; cause: unable to verify the first certificate/);
  });

  it("a certificate that is for another name is refused, by its name", async () => {
    const { publishing } = await overTls(ours, "127.0.0.1", 1_500);
    expect(publishing).toMatch(/127\.0\.0\.1 is not in the cert's list/);
  });
});
