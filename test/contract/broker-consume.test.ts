import { setImmediate as tick } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AmqpBroker } from "../../broker/broker.ts";
import { DEAD_QUEUE } from "../../core/contract/names.ts";
import type { Delivery } from "../../core/job/broker.ts";
import { BrokerWorld, Inbox, outgoing } from "../broker-world.ts";

let world: BrokerWorld;
let broker: AmqpBroker;
beforeEach(async () => {
  world = new BrokerWorld();
  broker = await world.broker();
});
afterEach(() => world.close());

const SOON = { timeout: 60_000, interval: 10 };

describe("a subscription", () => {
  it("hands on, acks, and gives back", async () => {
    const queue = await filled(3);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    channel.subscribe(inbox.wish(queue, 10));
    await vi.waitFor(() => expect(inbox.bodies).toEqual(["0", "1", "2"]), SOON);
    const [first, second, third] = inbox.deliveries as [Delivery, Delivery, Delivery];
    expect(first).toMatchObject({ brokerQueue: queue, messageId: "id-0", redelivered: false, deliveryCount: 0, lost: false, deadFrom: undefined });
    second.ack();
    first.nack();
    third.ack();
    third.nack(); // the first settlement counts
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(4), SOON);
    expect(inbox.deliveries[3]).toMatchObject({ messageId: "id-0", redelivered: true, deliveryCount: 1 });
    inbox.deliveries[3]?.ack();
    await channel.close();
    expect(await broker.admin.depth(queue)).toBe(0);
  });

  it("declares its queue when it is missing", async () => {
    const queue = world.queue();
    broker.partition(world.partition).subscribe(new Inbox().wish(queue, 1));
    await vi.waitFor(() => expect(world.seen("queue_created")).toContainEqual({ kind: "queue_created", brokerQueue: queue }), SOON);
    expect(await broker.admin.depth(queue)).toBe(0);
  });

  it("raises its prefetch without having anything delivered twice, and to no more than was wished for", async () => {
    const queue = await filled(400);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    const subscription = channel.subscribe(inbox.wish(queue, 1));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(1), SOON);
    for (const prefetch of [3, 50, 200]) {
      await subscription.setPrefetch(prefetch);
      await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(prefetch), SOON);
      expect(await broker.admin.depth(queue)).toBe(400 - prefetch);
    }
    expect(inbox.deliveries.some((delivery) => delivery.redelivered)).toBe(false);
  });

  it("follows the prefetch last wished for, and what came before stays valid", async () => {
    const queue = await filled(20);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    const subscription = channel.subscribe(inbox.wish(queue, 3));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(3), SOON);
    await Promise.all([7, 1, 9, 2].map((prefetch) => subscription.setPrefetch(prefetch)));
    await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(5), SOON); // the three of before, and two
    expect(await broker.admin.depth(queue)).toBe(15);
    for (const delivery of inbox.deliveries.slice(0, 3)) delivery.ack();
    await subscription.setPrefetch(2);
    expect(await broker.admin.depth(queue)).toBe(15);
    expect(() => subscription.setPrefetch(0)).toThrow(RangeError);
  });

  it("takes any number of raises", async () => {
    const queue = await filled(30);
    const inbox = new Inbox();
    const subscription = broker.partition(world.partition).subscribe(inbox.wish(queue, 1));
    for (let prefetch = 2; prefetch <= 12; prefetch++) await subscription.setPrefetch(prefetch);
    await vi.waitFor(() => expect(inbox.deliveries.length).toBeGreaterThanOrEqual(12), SOON);
    expect(inbox.losses).toEqual([]);
  });

  it("loses and doubles nothing when its prefetch changes under load", async () => {
    const count = 3_000;
    const queue = await filled(count);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    const settleSometime = (delivery: Delivery): void => {
      if (Math.random() < 0.5) delivery.ack();
      else void tick().then(() => delivery.ack());
    };
    const subscription = channel.subscribe(inbox.wish(queue, 5, settleSometime));
    let changes = 0;
    while (inbox.deliveries.length < count) await subscription.setPrefetch(1 + (changes++ % 40));
    expect(changes).toBeGreaterThan(5);
    await tick(); // the last acks are given, and sent before the channel closes
    await channel.close();
    expect(inbox.deliveries).toHaveLength(count);
    expect(new Set(inbox.bodies).size).toBe(count);
    expect(await broker.admin.depth(queue)).toBe(0);
    expect(world.seen("channel_lost")).toEqual([]);
  });

  it("hands nothing on after stop, and what is in our hands stays valid", async () => {
    const queue = await filled(500);
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    let stopped: Promise<void> | undefined;
    const subscription = channel.subscribe(
      inbox.wish(queue, 100, () => {
        stopped ??= subscription.stop();
      }),
    );
    await vi.waitFor(() => expect(stopped).toBeDefined(), SOON);
    await stopped;
    const inHand = inbox.deliveries.length;
    await vi.waitFor(async () => expect(await broker.admin.depth(queue)).toBe(500 - inHand), SOON);
    expect(inbox.deliveries).toHaveLength(inHand);
    for (const delivery of inbox.deliveries) delivery.ack();
    await channel.close();
    expect(await broker.admin.depth(queue)).toBe(500 - inHand);
    expect(inbox.losses).toEqual([]);
  });

  it("may stop and begin again beside others of its channel", async () => {
    const [queue, other] = [await filled(1), await filled(1, "other")];
    const channel = broker.partition(world.partition);
    const [inbox, otherInbox] = [new Inbox(), new Inbox()];
    channel.subscribe(otherInbox.wish(other, 5, (delivery) => delivery.ack()));
    for (let i = 0; i < 3; i++) await channel.subscribe(inbox.wish(queue, 1, (delivery) => delivery.nack())).stop();
    channel.subscribe(inbox.wish(queue, 1, (delivery) => delivery.ack()));
    await vi.waitFor(async () => expect([await broker.admin.depth(queue), otherInbox.deliveries.length]).toEqual([0, 1]), SOON);
  });

  it("hears from which queue a dead letter came", async () => {
    const queue = await filled(1);
    const outside = await world.channel();
    const message = await outside.get(queue);
    if (message === false) throw new Error("no message");
    outside.reject(message, false);
    const dead = new Inbox();
    const settle = (delivery: Delivery): void => (delivery.deadFrom?.startsWith(world.partition) ? delivery.ack() : delivery.nack());
    const channel = broker.partition(DEAD_QUEUE);
    channel.subscribe(dead.wish(DEAD_QUEUE, 10, settle));
    await vi.waitFor(() => expect(dead.deliveries.map((delivery) => delivery.deadFrom)).toContain(queue), SOON);
  });
});

describe("many partitions", () => {
  it("spread over further connections when one is full", async () => {
    const crowded = await world.broker({ channelsPerConnection: 2, name: `crowded ${world.partition}` });
    const inbox = new Inbox();
    const partitions = Array.from({ length: 5 }, (_, i) => `${world.partition}${i}`);
    const queues = partitions.map((partition) => world.queue("default", partition));
    await Promise.all(queues.map((queue) => broker.admin.ensure(queue)));
    const channels = partitions.map((partition) => crowded.partition(partition));
    channels.map((channel, i) => channel.subscribe(inbox.wish(queues[i] as string, 1, (delivery) => delivery.ack())));
    await Promise.all(queues.map((queue) => broker.publisher.publish(outgoing(queue, queue))));
    await vi.waitFor(() => expect(inbox.bodies.toSorted()).toEqual(queues.toSorted()), SOON);
    const connected = world.events.filter((event) => event.kind === "connected" && /^crowded .* consumers/.test(event.connection));
    expect(connected).toHaveLength(3);
    await channels[0]?.close();
    crowded.partition("more"); // takes the place that became free
    expect(crowded.connected).toBe(true);
  });
});

async function filled(count: number, type = "default"): Promise<string> {
  const queue = world.queue(type);
  await broker.admin.ensure(queue);
  const jobs = Array.from({ length: count }, (_, i) => outgoing(queue, String(i), `id-${i}`));
  await Promise.all(jobs.map((job) => broker.publisher.publish(job)));
  return queue;
}
