import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { SupervisedConnection } from "../../broker/connection.ts";
import type { LeaderProbe } from "../../broker/leader-probe.ts";
import { AmqpPartitionChannel } from "../../broker/partition-channel.ts";
import { brokerSettings } from "../../broker/settings.ts";
import { Topology } from "../../broker/topology.ts";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { BrokerWorld, Inbox, outgoing } from "../broker-world.ts";
import type { TcpProxy } from "../proxy.ts";

const SOON = { timeout: 10_000, interval: 10 };

let world: BrokerWorld;
beforeEach(() => {
  world = new BrokerWorld();
});
afterEach(() => world.close());

/** A partition's channel on a connection of its own, and a probe that says what the test wants of some queues. */
async function setUp() {
  const proxy: TcpProxy = await world.proxy();
  const settings = brokerSettings({ url: proxy.url, name: "admission", rpcDeadlineMs: 500, onEvent: (event) => world.events.push(event) });
  const connection = new SupervisedConnection("admission", settings);
  await connection.start();
  const silent = new Set<string>();
  const asked: { brokerQueue: string; suspect: boolean }[] = [];
  const ask = async (brokerQueue: string, suspect: boolean): Promise<void> => {
    asked.push({ brokerQueue, suspect });
    if (silent.has(brokerQueue)) throw new BrokerUnavailable("no answer");
  };
  const channel = new AmqpPartitionChannel({
    partition: world.partition,
    connection,
    main: connection,
    topology: new Topology(connection, settings),
    probe: { ask } as LeaderProbe,
    settings,
    onClosed: () => undefined,
  });
  const close = async (): Promise<void> => {
    proxy.flow();
    await channel.close();
    await connection.stop();
  };
  return { proxy, channel, silent, asked, close };
}

it("neither consumes nor cancels what does not answer, and does both once it answers", async () => {
  const { channel, silent, asked, close } = await setUp();
  const [queue, sibling, outside] = [world.queue(), world.queue("sibling"), await world.channel()];
  const consumers = async (): Promise<number> => (await outside.checkQueue(queue)).consumerCount;
  silent.add(queue);
  const subscription = channel.subscribe(new Inbox().wish(queue, 2));
  channel.subscribe(new Inbox().wish(sibling, 1));
  await vi.waitFor(
    () =>
      expect(
        asked
          .filter(({ brokerQueue }) => brokerQueue === queue)
          .map(({ suspect }) => suspect)
          .slice(0, 2),
      ).toEqual([false, true]),
    SOON,
  );
  expect(await consumers()).toBe(0);
  silent.clear();
  await vi.waitFor(async () => expect(await consumers()).toBe(1), SOON);
  silent.add(queue);
  await subscription.stop();
  expect(await consumers()).toBe(1);
  silent.clear();
  await vi.waitFor(async () => expect(await consumers()).toBe(0), SOON);
  expect(world.seen("channel_lost")).toEqual([]);
  await close();
});

it("gives up a channel on which a queue fails to answer all the same, and asks that queue for more than its count", async () => {
  const { proxy, channel, asked, close } = await setUp();
  const queue = world.queue();
  const broker = await world.broker();
  await broker.admin.ensure(queue);
  for (const body of ["0", "1"]) await broker.publisher.publish(outgoing(queue, body));
  const inbox = new Inbox();
  const subscription = channel.subscribe(inbox.wish(queue, 1));
  await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1), SOON);
  proxy.stall();
  await subscription.setPrefetch(2);
  expect(inbox.losses).toEqual([[inbox.deliveries[0]]]);
  proxy.flow();
  await vi.waitFor(() => expect(asked.at(-1)).toEqual({ brokerQueue: queue, suspect: true }), SOON);
  await vi.waitFor(() => expect(inbox.deliveries.length).toBeGreaterThanOrEqual(3), SOON);
  await close();
});
