import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AmqpBroker } from "../../broker/broker.ts";
import { BrokerWorld, Inbox, outgoing } from "../broker-world.ts";
import type { TcpProxy } from "../proxy.ts";

let world: BrokerWorld;
let proxy: TcpProxy;
let broker: AmqpBroker;
beforeEach(async () => {
  world = new BrokerWorld();
  proxy = await world.proxy();
  broker = await world.broker({ url: proxy.url });
});
afterEach(() => world.close());

const SOON = { timeout: 60_000, interval: 10 };

describe("when the connection is cut", () => {
  it("tells what was lost before anything new comes, and consumes again", async () => {
    const queue = await filled(4);
    const inbox = new Inbox();
    const subscription = broker.partition(world.partition).subscribe(inbox.wish(queue, 3));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(3), SOON);
    const old = [...inbox.deliveries];
    old[0]?.ack();
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(4), SOON); // so the ack arrived
    proxy.cut();
    await vi.waitFor(() => expect(inbox.losses).toHaveLength(1), SOON);
    expect(inbox.losses[0]).toEqual(inbox.deliveries.slice(1, 4));
    expect(old.every((delivery) => delivery.lost)).toBe(true);
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(4 + 3), SOON);
    expect(inbox.losses).toHaveLength(1);
    expect(inbox.deliveries.slice(4).every((delivery) => delivery.redelivered && !delivery.lost)).toBe(true);
    await subscription.setPrefetch(1);
  });

  it("never sends a settlement of an old channel to the new one", async () => {
    const queue = await filled(6);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    channel.subscribe(inbox.wish(queue, 3));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(3), SOON);
    proxy.cut();
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(6), SOON);
    // Their tags are 1, 2 and 3 on both channels: sent, they would settle the wrong messages.
    for (const delivery of inbox.deliveries.slice(0, 2)) delivery.ack();
    inbox.deliveries[2]?.nack();
    inbox.deliveries[3]?.ack();
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(7), SOON);
    expect(await broker.admin.depth(queue)).toBe(6 - 1 - 3);
    await channel.close();
    await vi.waitFor(async () => expect(await broker.admin.depth(queue)).toBe(5), SOON);
    expect(world.seen("channel_lost")).toEqual([]);
  });

  it("tells a subscription that has stopped of what it still had", async () => {
    const queue = await filled(2);
    const inbox = new Inbox();
    const subscription = broker.partition(world.partition).subscribe(inbox.wish(queue, 2));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(2), SOON);
    await subscription.stop();
    proxy.cut();
    await vi.waitFor(() => expect(inbox.losses).toEqual([inbox.deliveries]), SOON);
    await vi.waitFor(() => expect(broker.connected).toBe(true), SOON);
    await subscription.setPrefetch(5); // a wish of a stopped subscription changes nothing
    expect(inbox.deliveries).toHaveLength(2);
  });

  it("takes wishes meanwhile, and follows them afterwards", async () => {
    const queue = await filled(10);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    const subscription = channel.subscribe(inbox.wish(queue, 1));
    const ending = channel.subscribe(new Inbox().wish(world.queue("ending"), 1));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1), SOON);
    proxy.refuse();
    await vi.waitFor(() => expect(inbox.losses).toHaveLength(1), SOON);
    await Promise.all([subscription.setPrefetch(4), ending.stop()]);
    proxy.flow();
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1 + 4), SOON);
  });

  it("survives a cut in the middle of everything", async () => {
    const count = 600;
    const queue = await filled(count);
    const done = new Set<string>();
    const inbox = new Inbox();
    const subscription = broker.partition(world.partition).subscribe(
      inbox.wish(queue, 10, (delivery) => {
        done.add(delivery.body.toString());
        delivery.ack();
      }),
    );
    for (let i = 0; done.size < count; i++) {
      await subscription.setPrefetch(1 + (i % 10));
      if (i % 7 === 3 && i < 40) proxy.cut();
    }
    await vi.waitFor(async () => expect(await broker.admin.depth(queue)).toBe(0), SOON);
  });
});

describe("when RabbitMQ is silent", () => {
  it("a wish resolves at the deadline, what is in our hands stays ours, and consuming goes on later", async () => {
    const impatient = await world.broker({ url: proxy.url, rpcDeadlineMs: 300 });
    const queue = await filled(3);
    const inbox = new Inbox();
    const subscription = impatient.partition(world.partition).subscribe(inbox.wish(queue, 1));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1), SOON);
    proxy.stall();
    await subscription.setPrefetch(2);
    proxy.flow();
    await vi.waitFor(() => expect(inbox.bodies).toEqual(["0", "1"]), SOON);
    inbox.deliveries[0]?.ack();
    await vi.waitFor(() => expect(inbox.bodies).toEqual(["0", "1", "2"]), SOON);
    expect(inbox.losses).toEqual([]);
  });
});

describe("when tasks find a new partition at once", () => {
  it("they declare and consume its queues, and none loses its connection", async () => {
    const inbox = new Inbox();
    const wish = (queue: string) => inbox.wish(queue, 1, (delivery) => delivery.ack());
    const brokers = await Promise.all([world.broker(), world.broker(), world.broker()]);
    const warm = await filled(0);
    const channels = brokers.map((each) => each.partition(world.partition));
    for (const channel of channels) channel.subscribe(wish(warm));
    const outside = await world.channel();
    await vi.waitFor(async () => expect((await outside.checkQueue(warm)).consumerCount).toBe(3), SOON);
    const queues = Array.from({ length: 10 }, (_, i) => world.queue(`q${i}`));
    for (const queue of queues) for (const channel of channels) channel.subscribe(wish(queue));
    await Promise.all(queues.map((queue) => broker.admin.ensure(queue)));
    await vi.waitFor(async () => {
      for (const queue of queues) expect((await outside.checkQueue(queue)).consumerCount).toBe(3);
    }, SOON);
    expect(world.seen("disconnected")).toEqual([]);
    expect(world.seen("channel_lost")).toEqual([]);
  });
});

describe("when RabbitMQ ends a consumer", () => {
  it("because its queue was deleted, the queue is declared and consumed again", async () => {
    const queue = await filled(2);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    channel.subscribe(inbox.wish(queue, 1));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1), SOON);
    await broker.admin.remove(queue);
    await vi.waitFor(() => expect(world.seen("consumer_cancelled")).toHaveLength(1), SOON);
    inbox.deliveries[0]?.ack(); // of a queue that is gone: RabbitMQ takes it
    await vi.waitFor(async () => expect(await broker.publisher.publish(outgoing(queue, "again"))).toBe("queued"), SOON);
    await vi.waitFor(() => expect(inbox.bodies).toEqual(["0", "again"]), SOON);
    expect(world.seen("channel_lost")).toEqual([]);
    expect(inbox.losses).toEqual([]);
  });

  it("because the channel failed, only that partition is touched, and it recovers", async () => {
    const outside = await world.channel();
    const [good, bad] = [await filled(1), world.queue("bad")];
    const neighbour = world.queue("default", `${world.partition}n`);
    await broker.admin.ensure(neighbour);
    await broker.publisher.publish(outgoing(neighbour, "n"));
    await outside.assertQueue(bad, { durable: true });
    const { consumerTag } = await outside.consume(bad, () => undefined, { exclusive: true });
    const [inbox, badInbox, neighbourInbox] = [new Inbox(), new Inbox(), new Inbox()];
    broker.partition(`${world.partition}n`).subscribe(neighbourInbox.wish(neighbour, 1));
    await vi.waitFor(() => expect(neighbourInbox.deliveries).toHaveLength(1), SOON);
    const channel = broker.partition(world.partition);
    channel.subscribe(inbox.wish(good, 1));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1), SOON);
    channel.subscribe(badInbox.wish(bad, 1)); // refused: somebody else consumes it alone, and that closes the channel
    await vi.waitFor(() => expect(inbox.losses).not.toHaveLength(0), SOON);
    expect(world.seen("channel_lost")).toMatchObject([{ channel: world.partition }]);
    await outside.cancel(consumerTag);
    await broker.publisher.publish(outgoing(bad, "b"));
    await vi.waitFor(() => expect(badInbox.bodies).toEqual(["b"]), SOON);
    await vi.waitFor(() => expect(inbox.deliveries.at(-1)?.lost).toBe(false), SOON);
    expect(neighbourInbox.losses).toEqual([]);
    expect(neighbourInbox.deliveries[0]?.lost).toBe(false);
  });

  it("because somebody else has its queue to himself, its siblings lose nothing a second time, and it is tried less and less often", async () => {
    const outside = await world.channel();
    const [good, bad] = [await filled(2), world.queue("bad")];
    await outside.assertQueue(bad, { durable: true });
    const { consumerTag } = await outside.consume(bad, () => undefined, { exclusive: true });
    const [inbox, badInbox] = [new Inbox(), new Inbox()];
    const channel = broker.partition(world.partition);
    const well = channel.subscribe(inbox.wish(good, 1));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1), SOON);
    channel.subscribe(badInbox.wish(bad, 1));
    const tries = () => world.events.filter((event) => event.kind === "retrying");
    await vi.waitFor(() => expect(tries()).toHaveLength(5), SOON);
    const [first, , , , fifth] = tries();
    expect(fifth?.delayMs).toBeGreaterThan(4 * (first?.delayMs ?? 0));
    expect(world.seen("channel_lost")).toHaveLength(5);
    await well.setPrefetch(2);
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(3), SOON);
    await outside.cancel(consumerTag);
    await broker.publisher.publish(outgoing(bad, "b"));
    await vi.waitFor(() => expect(badInbox.bodies).toEqual(["b"]), SOON);
    expect(inbox.losses).toEqual([inbox.deliveries.slice(0, 1)]);
    expect(inbox.deliveries.map(({ lost }) => lost)).toEqual([true, false, false]);
    badInbox.deliveries[0]?.ack();
    await channel.close();
    expect([await broker.admin.depth(bad), world.seen("disconnected")]).toEqual([0, []]);
  });
});

async function filled(count: number): Promise<string> {
  const queue = world.queue();
  await broker.admin.ensure(queue);
  await Promise.all(Array.from({ length: count }, (_, i) => broker.publisher.publish(outgoing(queue, String(i)))));
  return queue;
}
