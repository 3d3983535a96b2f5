import { setImmediate as quiet } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { DEAD_QUEUE } from "../../core/contract/names.ts";
import type { Delivery } from "../../core/job/broker.ts";
import { CallScheduler } from "../../testing/call-scheduler.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { restore, snapshot } from "../../testing/memory-state.ts";
import { Inbox, outgoing } from "../broker-world.ts";

const QUEUE = "acme-default";

/** Two processes at one RabbitMQ, whose queue holds these messages. */
async function rabbit(...bodies: readonly string[]) {
  const server = new MemoryRabbit();
  const [one, other] = [new MemoryBroker(server), new MemoryBroker(server)];
  await one.admin.ensure(QUEUE);
  for (const body of bodies) await one.publisher.publish(outgoing(QUEUE, body));
  return { server, one, other };
}

describe("a severed connection", () => {
  it("is not noticed at once: two processes have one message, and only the later one's settlement counts", async () => {
    const { one, other } = await rabbit("a");
    const [old, fresh] = [new Inbox(), new Inbox()];
    one.partition("acme").subscribe(old.wish(QUEUE, 1));
    await quiet();
    other.partition("acme").subscribe(fresh.wish(QUEUE, 1));
    one.sever();
    await quiet();
    expect([old.bodies, fresh.bodies]).toEqual([["a"], ["a"]]);
    expect(old.deliveries[0]?.lost).toBe(false);
    expect(fresh.deliveries[0]).toMatchObject({ redelivered: true, deliveryCount: 1 });
    old.deliveries[0]?.ack();
    fresh.deliveries[0]?.nack();
    await quiet();
    expect(fresh.bodies).toEqual(["a", "a"]);
  });

  it("takes nothing that is sent, and is told of when it is noticed", async () => {
    const { one } = await rabbit("a");
    const inbox = new Inbox();
    one.partition("acme").subscribe(inbox.wish(QUEUE, 1));
    await quiet();
    one.sever();
    expect([one.connected, inbox.losses.length]).toEqual([true, 0]);
    await expect(one.publisher.publish(outgoing(QUEUE, "b"))).rejects.toBeInstanceOf(BrokerUnavailable);
    one.notice();
    expect(one.connected).toBe(false);
    expect(inbox.losses).toEqual([inbox.deliveries]);
    await expect(one.admin.depth(QUEUE)).rejects.toBeInstanceOf(BrokerUnavailable);
    await quiet();
    expect(inbox.deliveries).toHaveLength(1);
    one.reconnect();
    await quiet();
    expect(inbox.deliveries).toHaveLength(2);
  });

  it("keeps wishes for later, and none of a subscription that has stopped", async () => {
    const { one } = await rabbit("a", "b", "c");
    const channel = one.partition("acme");
    const [inbox, stopping] = [new Inbox(), new Inbox()];
    one.notice();
    const subscription = channel.subscribe(inbox.wish(QUEUE, 1));
    const ending = channel.subscribe(stopping.wish(QUEUE, 1));
    await Promise.all([subscription.setPrefetch(3), ending.stop()]);
    one.reconnect();
    await quiet();
    expect([inbox.bodies, stopping.bodies]).toEqual([["a", "b", "c"], []]);
  });
});

describe("a stopped broker", () => {
  it("gives back what is in its hands, and takes nothing more", async () => {
    const { one, other } = await rabbit("a");
    one.partition("acme").subscribe(new Inbox().wish(QUEUE, 1));
    await quiet();
    await one.stop();
    expect(await other.admin.depth(QUEUE)).toBe(1);
    expect(() => one.partition("acme")).toThrow(BrokerUnavailable);
    await expect(one.publisher.publish(outgoing(QUEUE, "b"))).rejects.toBeInstanceOf(BrokerUnavailable);
  });
});

describe("a message", () => {
  it("that comes back too often is a dead letter, which says where it died", async () => {
    const { one } = await rabbit("poison");
    const channel = one.partition("acme");
    let last: Delivery | undefined;
    for (let taken = channel.pull(QUEUE); taken !== undefined; taken = channel.pull(QUEUE)) {
      last = taken;
      taken.nack();
    }
    expect(last?.deliveryCount).toBe(10_000);
    expect(channel.pull(DEAD_QUEUE)).toMatchObject({ deadFrom: QUEUE, deliveryCount: 0 });
  });

  it("in somebody's hands is back in its queue after a restart from a snapshot", async () => {
    const { server, one } = await rabbit("a", "b", "c");
    const channel = one.partition("acme");
    channel.pull(QUEUE);
    channel.pull(QUEUE)?.ack();
    const later = new MemoryBroker(new MemoryRabbit(restore(snapshot(server.state)))).partition("acme");
    expect([later.pull(QUEUE), later.pull(QUEUE), later.pull(QUEUE)].map((delivery) => delivery?.body.toString())).toEqual(["a", "c", undefined]);
  });
});

describe("through a hook", () => {
  const scheduled = async () => {
    const { server, one } = await rabbit("a", "b");
    const scheduler = new CallScheduler();
    const broker = new MemoryBroker(server, scheduler.hook("late"));
    const inbox = new Inbox();
    const channel = broker.partition("acme");
    const subscription = channel.subscribe(inbox.wish(QUEUE, 2));
    await scheduler.rest();
    return { one, scheduler, broker, inbox, subscription };
  };

  it("deliveries come in the order that the test says", async () => {
    const { scheduler, inbox } = await scheduled();
    expect(scheduler.waiting.map(({ call }) => `${call.port}.${call.method}`)).toEqual(["delivery.deliver", "delivery.deliver"]);
    await scheduler.go(1);
    await scheduler.go(0);
    expect(inbox.bodies).toEqual(["b", "a"]);
  });

  it("an ack on its way is void when the connection goes first", async () => {
    const { one, scheduler, broker, inbox } = await scheduled();
    await scheduler.goOn();
    inbox.deliveries[0]?.ack();
    broker.sever();
    await scheduler.goOn();
    expect(await one.admin.depth(QUEUE)).toBe(2);
  });

  it("an ack that is lost leaves the message in the channel's hands until that is gone", async () => {
    const { one, scheduler, broker, inbox } = await scheduled();
    await scheduler.goOn();
    inbox.deliveries[0]?.ack();
    await scheduler.go(0, new Error("confirmed to nobody")); // its effect stands
    inbox.deliveries[1]?.ack();
    scheduler.kill("late");
    expect(await one.admin.depth(QUEUE)).toBe(0);
    broker.sever();
    expect(await one.admin.depth(QUEUE)).toBe(1);
  });

  it("a delivery that was on its way to a subscription that stops goes back", async () => {
    const { one, scheduler, inbox, subscription } = await scheduled();
    void subscription.stop();
    await scheduler.go(2);
    await scheduler.goOn();
    expect(inbox.bodies).toEqual([]);
    expect(await one.admin.depth(QUEUE)).toBe(2);
  });

  it("a delivery that was on its way when its loss was noticed never comes, nor is it told of", async () => {
    const { scheduler, broker, inbox } = await scheduled();
    broker.notice();
    await scheduler.goOn();
    expect([inbox.bodies, inbox.losses]).toEqual([[], []]);
  });
});
