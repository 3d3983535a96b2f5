import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openBroker } from "../../broker/broker.ts";
import { queueOptions } from "../../broker/topology.ts";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { BrokerWorld, outgoing } from "../broker-world.ts";

let world: BrokerWorld;
beforeEach(() => {
  world = new BrokerWorld();
});
afterEach(() => world.close());

describe("declaring a queue", () => {
  it("gives it the arguments that make RabbitMQ 3.10 and 4.x alike", async () => {
    const broker = await world.broker();
    const queue = world.queue();
    await broker.admin.ensure(queue);
    const outside = await world.channel();
    await outside.assertQueue(queue, queueOptions(queue)); // an equal declaration is accepted …
    const other = { ...queueOptions(queue), arguments: { ...queueOptions(queue).arguments, "x-delivery-limit": 20 } };
    await expect(outside.assertQueue(queue, other)).rejects.toThrow(/x-delivery-limit/); // … and any other is not
  });

  it("leaves one that exists as it is", async () => {
    const broker = await world.broker();
    const queue = world.queue();
    await (await world.channel()).assertQueue(queue, { durable: true });
    await broker.admin.ensure(queue);
    expect(world.seen("queue_created")).not.toContainEqual({ kind: "queue_created", brokerQueue: queue });
  });

  it("is asked of RabbitMQ once, however many ask for it", async () => {
    const broker = await world.broker();
    const queues = Array.from({ length: 20 }, (_, i) => world.queue(`q${i}`));
    await Promise.all(Array.from({ length: 100 }, (_, i) => broker.admin.ensure(queues[i % 20] as string)));
    const created = world.seen("queue_created").filter((event) => "brokerQueue" in event && queues.includes(event.brokerQueue));
    expect(created).toHaveLength(20);
  });

  it("is asked again after the queue was removed, or a message came back", async () => {
    const broker = await world.broker();
    const queue = world.queue();
    await broker.admin.ensure(queue);
    await broker.admin.remove(queue);
    await broker.admin.ensure(queue);
    await (await world.channel()).deleteQueue(queue);
    expect(await broker.publisher.publish(outgoing(queue, "{}"))).toBe("unroutable");
    await broker.admin.ensure(queue);
    expect(await broker.publisher.publish(outgoing(queue, "{}"))).toBe("queued");
  });
});

describe("QueueAdmin", () => {
  it("counts, shows, purges and removes", async () => {
    const { admin, publisher } = await world.broker();
    const queue = world.queue();
    await admin.ensure(queue);
    await Promise.all(["a", "b", "c"].map((body) => publisher.publish(outgoing(queue, body))));
    expect((await admin.peek(queue, 2))?.map(String)).toEqual(["a", "b"]);
    await vi.waitFor(async () => expect(await admin.depth(queue)).toBe(3)); // RabbitMQ puts them back a moment later
    expect((await admin.peek(queue, 10))?.map(String).sort()).toEqual(["a", "b", "c"]);
    await vi.waitFor(async () => expect(await admin.depth(queue)).toBe(3));
    expect(await admin.purge(queue)).toBe(3);
    expect(await admin.depth(queue)).toBe(0);
    await admin.remove(queue);
    expect(await admin.depth(queue)).toBeUndefined();
  });

  it("counts again and again, whatever is missing among what it asks for, and after a lost connection", async () => {
    const proxy = await world.proxy();
    const { admin, publisher } = await world.broker({ url: proxy.url });
    const queues = [world.queue("a"), world.queue("b")];
    for (const queue of queues) await admin.ensure(queue);
    await publisher.publish(outgoing(queues[0] as string, "x"));
    const missing = world.queue("missing");
    for (let round = 0; round < 50; round++) {
      expect(await Promise.all([...queues, missing, ...queues].map((queue) => admin.depth(queue)))).toEqual([1, 0, undefined, 1, 0]);
    }
    proxy.cut();
    await vi.waitFor(async () => expect(await admin.depth(queues[0] as string)).toBe(1));
  });

  it("fails at the deadline while RabbitMQ is away or silent", async () => {
    const proxy = await world.proxy();
    const { admin } = await world.broker({ url: proxy.url, rpcDeadlineMs: 300 });
    const queue = world.queue();
    await admin.ensure(queue);
    proxy.stall();
    await expect(admin.depth(queue)).rejects.toBeInstanceOf(BrokerUnavailable);
    proxy.refuse();
    await vi.waitFor(() => expect(world.seen("disconnected")).not.toHaveLength(0));
    const asked = [admin.ensure(queue), admin.depth(queue), admin.purge(queue), admin.peek(queue, 1), admin.remove(queue)];
    // However long its messages may take.
    const take = admin.take(queue, { limit: 1, withinMs: 60_000, settle: async () => true });
    for (const answer of await Promise.allSettled<unknown>([...asked, take])) {
      expect(answer).toMatchObject({ status: "rejected", reason: { code: "broker_unavailable" } });
    }
    proxy.flow();
    await vi.waitFor(async () => expect(await admin.depth(queue)).toBe(0), { timeout: 60_000 });
  });
});

describe("the connection", () => {
  it("need not be there at the start, and is told of", async () => {
    const proxy = await world.proxy();
    proxy.refuse();
    const broker = await world.broker({ url: proxy.url });
    const heard: boolean[] = [];
    broker.onConnection((connected) => heard.push(connected));
    await vi.waitFor(() => expect(world.seen("connect_failed")).not.toHaveLength(0), { timeout: 60_000 });
    expect(broker.connected).toBe(false);
    proxy.flow();
    await vi.waitFor(() => expect(broker.connected).toBe(true), { timeout: 60_000 });
    proxy.refuse();
    await vi.waitFor(() => expect(broker.connected).toBe(false), { timeout: 60_000 });
    expect(heard).toEqual([true, false]);
  });

  it("gives a broker up that accepts and never answers, and tries again", async () => {
    const proxy = await world.proxy();
    proxy.stall();
    const broker = await world.broker({ url: proxy.url, connectDeadlineMs: 300 });
    await vi.waitFor(() => expect(world.seen("connect_failed")).not.toHaveLength(0), { timeout: 60_000 });
    proxy.flow();
    await vi.waitFor(() => expect(broker.connected).toBe(true), { timeout: 60_000 });
  });

  it("bears a name for RabbitMQ's tools, and may be stopped twice, or before it was started", async () => {
    const never = openBroker({ url: "amqp://127.0.0.1:1", name: "never" });
    await never.stop();
    const broker = await world.broker();
    expect(broker.start()).toBe(broker.start());
    await broker.admin.depth(world.queue());
    await Promise.all([broker.stop(), broker.stop()]);
    expect(() => broker.partition("p")).toThrow(BrokerUnavailable);
  });

  it.each(["connected", "silent", "silent from the start"])("leaves no socket behind when it is stopped while %s", async (state) => {
    const proxy = await world.proxy();
    const sockets = () => process.getActiveResourcesInfo().filter((resource) => resource === "TCPSocketWrap").length;
    const before = sockets();
    if (state === "silent from the start") proxy.stall();
    const broker = await world.broker({ url: proxy.url, closeDeadlineMs: 200 });
    if (state === "silent from the start") {
      await vi.waitFor(() => expect(proxy.connections).toBe(1));
    } else {
      await broker.admin.ensure(world.queue());
      broker.partition(world.partition).subscribe({ brokerQueue: world.queue(), prefetch: 1, onDelivery: () => undefined, onLost: () => undefined });
      await vi.waitFor(() => expect(proxy.connections).toBe(2));
      if (state === "silent") proxy.stall();
    }
    await broker.stop();
    proxy.cut();
    await vi.waitFor(() => expect(sockets()).toBeLessThanOrEqual(before));
  });
});
