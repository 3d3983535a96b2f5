import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LeaderProbe } from "../../broker/leader-probe.ts";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { BrokerWorld, outgoing } from "../broker-world.ts";

let world: BrokerWorld;
beforeEach(() => {
  world = new BrokerWorld();
});
afterEach(() => {
  vi.restoreAllMocks();
  return world.close();
});

describe("publishing", () => {
  it("is answered once RabbitMQ has the message, with all that belongs to it", async () => {
    const broker = await world.broker();
    const queue = world.queue();
    await broker.admin.ensure(queue);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    expect(await broker.publisher.publish({ ...outgoing(queue, "{}", "job-1"), traceparent })).toBe("queued");
    const message = await (await world.channel()).get(queue, { noAck: true });
    if (message === false) throw new Error("no message");
    expect(message.content.toString()).toBe("{}");
    expect(message.properties).toMatchObject({ contentType: "application/json", deliveryMode: 2, messageId: "job-1", appId: world.partition });
    expect(message.properties.headers).toMatchObject({ traceparent });
  });

  it("tells two messages of one id apart, also to one queue", async () => {
    const broker = await world.broker();
    const [there, missing] = [world.queue("there"), world.queue("missing")];
    await broker.admin.ensure(there);
    const publish = (queue: string) => broker.publisher.publish(outgoing(queue, "{}", "same"));
    expect(await Promise.all([publish(missing), publish(there), publish(there), publish(missing)])).toEqual([
      "unroutable",
      "queued",
      "queued",
      "unroutable",
    ]);
  });

  it("pipelines: 1,000 at once, each of them there afterwards", async () => {
    const broker = await world.broker();
    const queue = world.queue();
    await broker.admin.ensure(queue);
    const answers = await Promise.all(Array.from({ length: 1_000 }, (_, i) => broker.publisher.publish(outgoing(queue, String(i)))));
    expect(new Set(answers)).toEqual(new Set(["queued"]));
    expect(await broker.admin.depth(queue)).toBe(1_000);
  });

  it("carries messages of a quarter of a MiB, more of them than fit the window", async () => {
    const broker = await world.broker({ confirmWindow: 50 });
    const queue = world.queue();
    await broker.admin.ensure(queue);
    const body = "x".repeat(256 * 1024);
    const answers = await Promise.all(Array.from({ length: 60 }, () => broker.publisher.publish(outgoing(queue, body))));
    expect(answers.filter((answer) => answer === "queued")).toHaveLength(60);
    const first = await broker.admin.peek(queue, 1);
    expect(first?.[0]?.length).toBe(body.length);
  });

  it("is refused, not lost, when the queue takes no more", async () => {
    const broker = await world.broker();
    const queue = world.queue();
    const limits = { "x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish" };
    await (await world.channel()).assertQueue(queue, { durable: true, arguments: limits });
    const settle = () => broker.publisher.publish(outgoing(queue, "{}")).catch((error: unknown) => error);
    // A quorum queue takes a few beyond its bound before it refuses.
    const answers: unknown[] = [];
    await vi.waitFor(async () => expect(answers[answers.push(await settle()) - 1]).toBeInstanceOf(BrokerUnavailable), {
      timeout: 60_000,
      interval: 10,
    });
    expect(answers.length).toBe(((await broker.admin.depth(queue)) ?? 0) + 1);
  });
});

describe("publishing while RabbitMQ is away", () => {
  it("fails at the deadline", async () => {
    const proxy = await world.proxy();
    proxy.refuse();
    const broker = await world.broker({ url: proxy.url, publishDeadlineMs: 300 });
    await expect(broker.publisher.publish(outgoing(world.queue(), "{}"))).rejects.toThrow(/no confirm within 300 ms: not connected/);
  });

  it("goes on when it is back before the deadline", async () => {
    const proxy = await world.proxy();
    const broker = await world.broker({ url: proxy.url });
    const queue = world.queue();
    await broker.admin.ensure(queue);
    proxy.refuse();
    await vi.waitFor(() => expect(broker.connected).toBe(false));
    const answer = broker.publisher.publish(outgoing(queue, "{}"));
    proxy.flow();
    expect(await answer).toBe("queued");
  });

  it("asks the queue anew for a message that waits for the next channel", async () => {
    const proxy = await world.proxy();
    const broker = await world.broker({ url: proxy.url, asksBeforePublish: true, publishDeadlineMs: 60_000 });
    const queue = world.queue();
    await broker.admin.ensure(queue);
    const asks = vi.spyOn(LeaderProbe.prototype, "ask");
    expect(await broker.publisher.publish(outgoing(queue, "{}"))).toBe("queued");
    proxy.refuse();
    await vi.waitFor(() => expect(broker.connected).toBe(false));
    const answer = broker.publisher.publish(outgoing(queue, "{}"));
    proxy.flow();
    expect(await answer).toBe("queued");
    expect(asks.mock.calls).toEqual([[queue], [queue]]);
  });

  it("fails at the deadline when RabbitMQ is silent, and the window is free again", async () => {
    const proxy = await world.proxy();
    const broker = await world.broker({ url: proxy.url, publishDeadlineMs: 400, confirmWindow: 2 });
    const queue = world.queue();
    await broker.admin.ensure(queue);
    await broker.publisher.publish(outgoing(queue, "first"));
    proxy.stall();
    const settled = await Promise.allSettled(Array.from({ length: 5 }, () => broker.publisher.publish(outgoing(queue, "late"))));
    for (const each of settled) expect(each).toMatchObject({ status: "rejected", reason: { code: "broker_unavailable" } });
    proxy.flow();
    await vi.waitFor(async () => expect(await broker.publisher.publish(outgoing(queue, "last"))).toBe("queued"), { timeout: 60_000 });
  });

  it("fails at once what was in flight when the connection broke, and nothing that waited", async () => {
    const proxy = await world.proxy();
    const broker = await world.broker({ url: proxy.url, confirmWindow: 3 });
    const queue = world.queue();
    await broker.admin.ensure(queue);
    await broker.publisher.publish(outgoing(queue, "0"));
    proxy.stall();
    const answers = Array.from({ length: 6 }, (_, i) => broker.publisher.publish(outgoing(queue, String(i + 1))).catch((error: unknown) => error));
    proxy.cut();
    expect(await Promise.race(answers)).toBeInstanceOf(BrokerUnavailable);
    proxy.flow();
    const settled = await Promise.all(answers);
    expect(settled.map((answer) => answer === "queued")).toEqual([false, false, false, true, true, true]);
  });

  it("has a bound on how many wait", async () => {
    const proxy = await world.proxy();
    proxy.refuse();
    const broker = await world.broker({ url: proxy.url, publishDeadlineMs: 500, waitingPublishes: 5 });
    const waiting = Array.from({ length: 5 }, () => broker.publisher.publish(outgoing(world.queue(), "{}")).catch((error: unknown) => error));
    await expect(broker.publisher.publish(outgoing(world.queue(), "{}"))).rejects.toThrow("5 publishes wait already");
    for (const answer of await Promise.all(waiting)) expect(answer).toBeInstanceOf(BrokerUnavailable);
  });

  it("is over when the broker is stopped: what waits fails, what comes later too", async () => {
    const proxy = await world.proxy();
    proxy.refuse();
    const broker = await world.broker({ url: proxy.url });
    const waiting = broker.publisher.publish(outgoing(world.queue(), "{}")).catch((error: unknown) => error);
    await broker.stop();
    expect(await waiting).toBeInstanceOf(BrokerUnavailable);
    await expect(broker.publisher.publish(outgoing(world.queue(), "{}", randomUUID()))).rejects.toThrow("closed");
  });

  it("what was begun before a stop is confirmed", async () => {
    const broker = await world.broker();
    const queue = world.queue();
    await broker.admin.ensure(queue);
    const answers = Array.from({ length: 300 }, () => broker.publisher.publish(outgoing(queue, "{}")));
    await broker.publisher.publish(outgoing(queue, "{}"));
    await broker.stop();
    expect(new Set(await Promise.all(answers))).toEqual(new Set(["queued"]));
  });
});
