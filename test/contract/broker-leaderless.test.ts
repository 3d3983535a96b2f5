import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Channel, connect } from "amqplib";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { queueOptions } from "../../broker/topology.ts";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { DEAD_QUEUE } from "../../core/contract/names.ts";
import type { Rabbit } from "../../local/rabbitmq/rabbit.ts";
import { startRabbit } from "../../local/rabbitmq/start.ts";
import { BrokerWorld, Inbox, outgoing } from "../broker-world.ts";
import { areWrittenDown, loseLeaders } from "../fixture/quorum-directory.ts";

/** RabbitMQ waits for a leader for `net_ticktime` and 5 s, then it ends the connection: 65 s by default, 7 s here. */
const NET_TICKTIME = "[{kernel, [{net_ticktime, 2}]}].\n";
const SOON = { timeout: 60_000, interval: 10 };
const SICK = ["first-sick", "second-sick", "third-sick"];

let dataDir: string;
let rabbit: Rabbit;
let world: BrokerWorld;
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "roger-leaderless-"));
  rabbit = await startRabbit({ dataDir });
  await outside(async (channel) => {
    for (const queue of [DEAD_QUEUE, ...SICK]) await channel.assertQueue(queue, queueOptions(queue));
  });
  await vi.waitFor(async () => expect(await areWrittenDown(dataDir, SICK)).toBe(true), SOON);
  await rabbit.kill();
  await loseLeaders(dataDir);
  await writeFile(join(dataDir, "advanced.config"), NET_TICKTIME);
  await rabbit.restart();
});
afterEach(() => world.close());
afterAll(async () => {
  await rabbit.stop();
  await rm(dataDir, { recursive: true });
});

it("a queue without a leader holds up no other queue: not their jobs, not their moves, and ends no connection of theirs", async () => {
  world = new BrokerWorld();
  const broker = await world.broker({ url: rabbit.url });
  const channel = broker.partition("first");
  const [inbox, sick, neighbour] = [new Inbox(), new Inbox(), new Inbox()];
  const well = channel.subscribe(inbox.wish("first-well", 1));
  broker.partition("neighbour").subscribe(neighbour.wish("neighbour-well", 1));
  await broker.admin.ensure("first-well");
  await broker.admin.ensure("neighbour-well");
  for (const queue of ["first-well", "first-well", "neighbour-well"]) await broker.publisher.publish(outgoing(queue, queue));
  await vi.waitFor(() => expect([inbox.deliveries.length, neighbour.deliveries.length]).toEqual([1, 1]), SOON);

  const ailing = channel.subscribe(sick.wish("first-sick", 1));
  let jobs = 0;
  for (let prefetch = 2; world.seen("disconnected").length === 0; prefetch = 3 - prefetch) {
    await well.setPrefetch(prefetch);
    inbox.deliveries[jobs]?.ack();
    jobs += 1;
    await broker.publisher.publish(outgoing("first-well", "more"));
    await vi.waitFor(() => expect(inbox.deliveries.length).toBeGreaterThan(jobs), { timeout: 1_000, interval: 10 });
  }
  expect(jobs).toBeGreaterThan(10);
  expect(world.seen("disconnected").every((event) => event.kind === "disconnected" && event.connection.endsWith("probe"))).toBe(true);
  expect(broker.connected).toBe(true);
  expect(world.seen("channel_lost")).toEqual([]);
  expect([...inbox.losses, ...neighbour.losses]).toEqual([]);
  expect(inbox.deliveries.some(({ lost }) => lost)).toBe(false);
  await ailing.stop();
  expect(sick.deliveries).toEqual([]);
});

it("a queue that has a leader again is consumed by itself", async () => {
  world = new BrokerWorld();
  const broker = await world.broker({ url: rabbit.url, rpcDeadlineMs: 500 });
  const inbox = new Inbox();
  broker.partition("second").subscribe(inbox.wish("second-sick", 1));
  await vi.waitFor(
    () => expect(world.events).toContainEqual(expect.objectContaining({ kind: "retrying", what: "the consumer of second-sick" })),
    SOON,
  );
  // An operator's way out: jobs that a queue without a leader had are lost in any case.
  await outside((channel) => channel.deleteQueue("second-sick"));
  await vi.waitFor(async () => expect(await broker.publisher.publish(outgoing("second-sick", "again"))).toBe("queued"), SOON);
  await vi.waitFor(() => expect(inbox.bodies).toEqual(["again"]), SOON);
});

it("a publish to a queue without a leader fails, and holds up no other publish", async () => {
  world = new BrokerWorld();
  const broker = await world.broker({ url: rabbit.url, asksBeforePublish: true });
  await broker.admin.ensure("third-well");
  const failed = broker.publisher.publish(outgoing("third-sick", "lost")).catch((error: unknown) => error);
  let published = 0;
  while (world.seen("disconnected").length === 0) {
    expect(await broker.publisher.publish(outgoing("third-well", "more"))).toBe("queued");
    published += 1;
  }
  expect(await failed).toBeInstanceOf(BrokerUnavailable);
  expect(published).toBeGreaterThan(10);
  expect(world.seen("disconnected")).toMatchObject([{ connection: expect.stringMatching(/probe$/) }]);
  expect(await broker.publisher.publish(outgoing("third-well", "last"))).toBe("queued");
});

async function outside(work: (channel: Channel) => Promise<unknown>): Promise<void> {
  const connection = await connect(rabbit.url);
  await work(await connection.createChannel());
  await connection.close();
}
