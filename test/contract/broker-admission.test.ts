import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SupervisedConnection } from "../../broker/connection.ts";
import { Deadline } from "../../broker/deadline.ts";
import type { LeaderProbe } from "../../broker/leader-probe.ts";
import { AmqpPartitionChannel } from "../../broker/partition-channel.ts";
import { brokerSettings } from "../../broker/settings.ts";
import { Topology } from "../../broker/topology.ts";
import { systemClock } from "../../core/contract/clock.ts";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { BrokerWorld, Inbox, outgoing } from "../broker-world.ts";
import type { TcpProxy } from "../proxy.ts";

const SOON = { timeout: 60_000, interval: 10 };

let world: BrokerWorld;
beforeEach(() => {
  world = new BrokerWorld();
});
afterEach(() => world.close());

/** A partition's channel on a connection of its own, and a probe that says what the test wants of some queues. */
async function setUp({ rpcDeadlineMs = 500 } = {}) {
  const proxy: TcpProxy = await world.proxy();
  const settings = brokerSettings({ url: proxy.url, name: "admission", rpcDeadlineMs, onEvent: (event) => world.events.push(event) });
  const connection = new SupervisedConnection("admission", settings);
  await connection.start();
  await connection.ready(new Deadline(10_000));
  const silent = new Set<string>();
  const missing = new Set<string>();
  const asked: string[] = [];
  const doubted: string[] = [];
  const probe: Pick<LeaderProbe, "ask" | "doubt"> = {
    async ask(brokerQueue) {
      asked.push(brokerQueue);
      if (silent.has(brokerQueue)) throw new BrokerUnavailable("no answer");
      return !missing.delete(brokerQueue);
    },
    doubt: (brokerQueue) => void doubted.push(brokerQueue),
  };
  const topology = new Topology(connection, settings);
  const channel = new AmqpPartitionChannel({
    partition: world.partition,
    connection,
    main: connection,
    topology,
    probe: probe as LeaderProbe,
    settings,
    onClosed: () => undefined,
  });
  const close = async (): Promise<void> => {
    proxy.flow();
    await channel.close();
    await connection.stop();
  };
  return { proxy, channel, topology, silent, missing, asked, doubted, close };
}

/** @returns how many consumers RabbitMQ knows */
async function counter(): Promise<(queue: string) => Promise<number>> {
  const outside = await world.channel();
  return async (queue) => (await outside.checkQueue(queue)).consumerCount;
}

it("neither consumes nor cancels what does not answer, and does both once it answers", async () => {
  const { channel, silent, asked, close } = await setUp();
  const [queue, sibling, consumers] = [world.queue(), world.queue("sibling"), await counter()];
  silent.add(queue);
  const subscription = channel.subscribe(new Inbox().wish(queue, 2));
  channel.subscribe(new Inbox().wish(sibling, 1));
  await vi.waitFor(() => expect(asked.filter((each) => each === queue).length).toBeGreaterThan(1), SOON);
  expect(await consumers(queue)).toBe(0);
  silent.clear();
  await vi.waitFor(async () => expect(await consumers(queue)).toBe(1), SOON);
  silent.add(queue);
  await subscription.stop();
  expect(await consumers(queue)).toBe(1);
  silent.clear();
  await vi.waitFor(async () => expect(await consumers(queue)).toBe(0), SOON);
  expect(world.seen("channel_lost")).toEqual([]);
  await close();
});

it("gives up a channel on which a queue fails to answer all the same, and doubts that queue", async () => {
  const { proxy, channel, doubted, close } = await setUp();
  const queue = world.queue();
  const broker = await world.broker();
  await broker.admin.ensure(queue);
  for (const body of ["0", "1"]) await broker.publisher.publish(outgoing(queue, body));
  const inbox = new Inbox();
  const subscription = channel.subscribe(inbox.wish(queue, 2));
  await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(2), SOON);
  proxy.stall();
  await subscription.setPrefetch(1);
  expect(inbox.losses).toEqual([inbox.deliveries]);
  proxy.flow();
  await vi.waitFor(() => expect(inbox.deliveries.length).toBeGreaterThanOrEqual(3), SOON);
  expect(new Set(doubted)).toEqual(new Set([queue]));
  await close();
});

it("a queue that fails to answer is asked less and less often, however busy its siblings are", async () => {
  const { channel, silent, asked, close } = await setUp();
  const [queue, sibling] = [world.queue(), world.queue("sibling")];
  silent.add(queue);
  channel.subscribe(new Inbox().wish(queue, 1));
  const busy = channel.subscribe(new Inbox().wish(sibling, 1));
  const failures = () => world.events.filter((event) => event.kind === "retrying");
  for (let prefetch = 2; failures().length < 4; prefetch = 3 - prefetch) await busy.setPrefetch(prefetch);
  const [first, , , fourth] = failures();
  expect(fourth?.delayMs).toBeGreaterThan(2 * (first?.delayMs ?? 0));
  expect(asked.filter((each) => each === queue)).toHaveLength(failures().length);
  await close();
});

it("an answer that is old when its turn comes moves nothing: the queue is asked again", async () => {
  const { proxy, channel, asked, close } = await setUp({ rpcDeadlineMs: 10_000 });
  const [queue, sibling, consumers] = [world.queue(), world.queue("sibling"), await counter()];
  const broker = await world.broker();
  for (const each of [sibling, queue]) await broker.admin.ensure(each);
  const subscriptions = [sibling, queue].map((each) => channel.subscribe(new Inbox().wish(each, 1)));
  for (const each of [sibling, queue]) await vi.waitFor(async () => expect(await consumers(each)).toBe(1), SOON);
  asked.length = 0;
  proxy.stall();
  const followed = subscriptions.map((subscription) => subscription.setPrefetch(2));
  await vi.waitFor(() => expect(asked).toEqual([sibling, queue]), SOON);
  const later = systemClock.monotonic() + 5_000;
  const clock = vi.spyOn(systemClock, "monotonic").mockReturnValue(later);
  proxy.flow();
  await Promise.all(followed);
  clock.mockRestore();
  expect(asked).toEqual([sibling, queue, queue]);
  for (const each of [sibling, queue]) expect(await consumers(each)).toBe(2);
  await close();
});

it("what is gone by the time that it is asked is declared again before it is consumed", async () => {
  const { channel, topology, missing, close } = await setUp();
  const [queue, outside] = [world.queue(), await world.channel()];
  await topology.ensureSettled(queue);
  await outside.deleteQueue(queue);
  missing.add(queue);
  channel.subscribe(new Inbox().wish(queue, 1));
  await vi.waitFor(
    async () => expect(world.seen("queue_created").filter((event) => "brokerQueue" in event && event.brokerQueue === queue)).toHaveLength(2),
    SOON,
  );
  await vi.waitFor(async () => expect((await outside.checkQueue(queue)).consumerCount).toBe(1), SOON);
  expect(world.seen("channel_lost")).toEqual([]);
  await close();
});

it("a close waits for a declaration under way, so that none comes after it", async () => {
  const { channel, topology, close } = await setUp();
  const gate = Promise.withResolvers<void>();
  const order: string[] = [];
  const ensured = vi.spyOn(topology, "ensureSettled").mockImplementation(() => gate.promise);
  channel.subscribe(new Inbox().wish(world.queue(), 1));
  await vi.waitFor(() => expect(ensured).toHaveBeenCalled(), SOON);
  const closed = channel.close().then(() => order.push("closed"));
  setImmediate(() => {
    order.push("declared");
    gate.resolve();
  });
  await closed;
  expect(order).toEqual(["declared", "closed"]);
  await close();
});
