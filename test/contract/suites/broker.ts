import { beforeEach, describe, expect, it, vi } from "vitest";
import type { Broker, Delivery } from "../../../core/job/broker.ts";
import { Inbox, outgoing } from "../../broker-world.ts";

/** One process's connection to a RabbitMQ, real or not, and what a test does to it from outside. */
export interface BrokerUnderTest {
  readonly broker: Broker;
  readonly partition: string;
  /** The name of a queue of the partition that does not exist yet. */
  queue(type?: string): string;
  /** The connection is lost, and comes back by itself. */
  cut(): void;
}

const SOON = { timeout: 60_000, interval: 10 };

/** What jobs rest on: the same of RabbitMQ and of its twin in memory. */
export function brokerSuite(make: () => Promise<BrokerUnderTest>): void {
  let world: BrokerUnderTest;
  let broker: Broker;
  beforeEach(async () => {
    world = await make();
    broker = world.broker;
  });

  const publish = (queue: string, body: string, id?: string) => broker.publisher.publish(outgoing(queue, body, id));
  const filled = async (count: number, type?: string): Promise<string> => {
    const queue = world.queue(type);
    await broker.admin.ensure(queue);
    for (let i = 0; i < count; i++) expect(await publish(queue, String(i), `id-${i}`)).toBe("queued");
    return queue;
  };
  const subscribe = (queue: string, prefetch: number, each?: (delivery: Delivery) => void) => {
    const inbox = new Inbox();
    const channel = broker.partition(world.partition);
    return { inbox, channel, subscription: channel.subscribe(inbox.wish(queue, prefetch, each)) };
  };
  const arrived = (inbox: Inbox, bodies: readonly string[]) => vi.waitFor(() => expect(inbox.bodies).toEqual(bodies), SOON);
  const depth = (queue: string, count: number) => vi.waitFor(async () => expect(await broker.admin.depth(queue)).toBe(count), SOON);

  describe("publishing", () => {
    it("to a queue that does not exist is unroutable, and makes none", async () => {
      const queue = world.queue();
      expect(await publish(queue, "{}")).toBe("unroutable");
      expect(await broker.admin.depth(queue)).toBe(undefined);
    });

    it("of one id twice makes two messages", async () => {
      const queue = await filled(0);
      expect(await Promise.all([publish(queue, "a", "same"), publish(queue, "b", "same")])).toEqual(["queued", "queued"]);
      expect(await broker.admin.depth(queue)).toBe(2);
    });
  });

  describe("a subscription", () => {
    it("hands on in order, with what belongs to a message", async () => {
      const queue = await filled(3);
      const { inbox } = subscribe(queue, 10);
      await arrived(inbox, ["0", "1", "2"]);
      const fields = { brokerQueue: queue, messageId: "id-0", redelivered: false, deliveryCount: 0, lost: false, deadFrom: undefined };
      expect(inbox.deliveries[0]).toMatchObject(fields);
    });

    it("declares its queue when it is missing", async () => {
      const queue = world.queue();
      subscribe(queue, 1);
      await depth(queue, 0);
    });

    it("has no more in its hands than its prefetch, and gets the next for each that it settles", async () => {
      const queue = await filled(5);
      const { inbox } = subscribe(queue, 2);
      await arrived(inbox, ["0", "1"]);
      expect(await broker.admin.depth(queue)).toBe(3);
      inbox.deliveries[1]?.ack();
      await arrived(inbox, ["0", "1", "2"]);
      inbox.deliveries[0]?.ack();
      inbox.deliveries[2]?.ack();
      await arrived(inbox, ["0", "1", "2", "3", "4"]);
    });

    it("gets what it gave back before what it has not had yet, in the order in which it gave it back", async () => {
      const queue = await filled(4);
      const { inbox, channel } = subscribe(queue, 3);
      await arrived(inbox, ["0", "1", "2"]);
      inbox.deliveries[1]?.nack();
      await arrived(inbox, ["0", "1", "2", "1"]);
      expect(inbox.deliveries[3]).toMatchObject({ messageId: "id-1", redelivered: true, deliveryCount: 1 });
      inbox.deliveries[3]?.nack();
      await arrived(inbox, ["0", "1", "2", "1", "1"]);
      expect(inbox.deliveries[4]).toMatchObject({ redelivered: true, deliveryCount: 2 });
      await channel.close();
      const again = subscribe(queue, 10);
      await vi.waitFor(() => expect(again.inbox.deliveries).toHaveLength(4), SOON);
      // What the channel had in its hands comes before what nobody had.
      expect(again.inbox.bodies.slice(0, 3).toSorted()).toEqual(["0", "1", "2"]);
      expect(again.inbox.bodies[3]).toBe("3");
    });

    it("counts the first settlement only", async () => {
      const queue = await filled(1);
      const { inbox, channel } = subscribe(queue, 1);
      await arrived(inbox, ["0"]);
      inbox.deliveries[0]?.ack();
      inbox.deliveries[0]?.nack();
      await channel.close();
      await depth(queue, 0);
    });

    it("raises its prefetch, and lowers it beside what it has in its hands", async () => {
      const queue = await filled(20);
      const { inbox, subscription } = subscribe(queue, 1);
      await arrived(inbox, ["0"]);
      await subscription.setPrefetch(3);
      await arrived(inbox, ["0", "1", "2"]);
      await subscription.setPrefetch(2);
      const inHand = inbox.deliveries.length;
      expect(inHand).toBeLessThanOrEqual(5);
      for (const delivery of inbox.deliveries.slice(0, inHand)) delivery.ack();
      await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(inHand + 2), SOON);
      expect(await broker.admin.depth(queue)).toBe(20 - inHand - 2);
      expect(() => subscription.setPrefetch(0)).toThrow(RangeError);
    });

    it("hands nothing on after stop; what is in its hands stays valid", async () => {
      const queue = await filled(4);
      const { inbox, channel, subscription } = subscribe(queue, 2);
      await arrived(inbox, ["0", "1"]);
      await subscription.stop();
      for (const delivery of inbox.deliveries) delivery.ack();
      await channel.close();
      expect(inbox.bodies).toEqual(["0", "1"]);
      expect(inbox.losses).toEqual([]);
      await depth(queue, 2);
    });

    it("gives a delivery back when the one it was handed to throws", async () => {
      const queue = await filled(1);
      const { inbox } = subscribe(queue, 1, (delivery) => {
        if (!delivery.redelivered) throw new Error("a bug");
      });
      await arrived(inbox, ["0", "0"]);
    });

    it("is consumed again after its queue was removed", async () => {
      const queue = await filled(1);
      const { inbox } = subscribe(queue, 1);
      await arrived(inbox, ["0"]);
      await broker.admin.remove(queue);
      inbox.deliveries[0]?.ack(); // of a queue that is gone: it is taken
      await vi.waitFor(async () => expect(await publish(queue, "again")).toBe("queued"), SOON);
      await arrived(inbox, ["0", "again"]);
      expect(inbox.losses).toEqual([]);
    });

    it("takes turns with others of its queue", async () => {
      const queue = await filled(0);
      const [one, other] = [subscribe(queue, 1), subscribe(queue, 1)];
      for (let i = 0; i < 2; i++) expect(await publish(queue, String(i))).toBe("queued");
      await vi.waitFor(() => expect([one.inbox.deliveries.length, other.inbox.deliveries.length]).toEqual([1, 1]), SOON);
    });
  });

  describe("a channel that closes", () => {
    it("sends the acks that wait, and gives the rest back", async () => {
      const queue = await filled(5);
      const { inbox, channel } = subscribe(queue, 5);
      await arrived(inbox, ["0", "1", "2", "3", "4"]);
      for (const delivery of inbox.deliveries.slice(0, 3)) delivery.ack();
      await channel.close();
      expect(inbox.losses).toEqual([inbox.deliveries.slice(3)]);
      expect(inbox.deliveries.at(-1)?.lost).toBe(true);
      await depth(queue, 2);
      expect(() => channel.subscribe(inbox.wish(queue, 1))).toThrow("closed");
    });
  });

  describe("a lost connection", () => {
    it("is told of before anything new comes; what was in hands comes again", async () => {
      const queue = await filled(3);
      const { inbox } = subscribe(queue, 2);
      await arrived(inbox, ["0", "1"]);
      world.cut();
      await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(4), SOON);
      expect(inbox.losses).toEqual([inbox.deliveries.slice(0, 2)]);
      expect(inbox.deliveries.map(({ lost }) => lost)).toEqual([true, true, false, false]);
      expect(inbox.deliveries.slice(2).every(({ redelivered }) => redelivered)).toBe(true);
      expect(inbox.bodies.slice(2).toSorted()).toEqual(["0", "1"]);
    });

    it("makes every settlement of what came before it void", async () => {
      const queue = await filled(2);
      const { inbox, channel } = subscribe(queue, 2);
      await arrived(inbox, ["0", "1"]);
      world.cut();
      await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(4), SOON);
      inbox.deliveries[0]?.ack();
      inbox.deliveries[1]?.nack();
      await channel.close();
      await depth(queue, 2);
    });
  });

  describe("QueueAdmin", () => {
    it("knows no queue that does not exist", async () => {
      const { admin } = broker;
      const queue = world.queue();
      expect([await admin.depth(queue), await admin.purge(queue), await admin.peek(queue, 3)]).toEqual([undefined, undefined, undefined]);
      await admin.remove(queue);
    });

    it("leaves a queue that exists as it is", async () => {
      const queue = await filled(2);
      await broker.admin.ensure(queue);
      expect(await broker.admin.depth(queue)).toBe(2);
    });

    it("shows messages and puts them back, which counts as a delivery", async () => {
      const queue = await filled(3);
      expect((await broker.admin.peek(queue, 2))?.map(String)).toEqual(["0", "1"]);
      await depth(queue, 3);
      const { inbox } = subscribe(queue, 3);
      await vi.waitFor(() => expect(inbox.deliveries).toHaveLength(3), SOON);
      expect(inbox.deliveries.map(({ redelivered }) => redelivered)).toEqual([true, true, false]);
    });

    it("purges what is ready and leaves what is in hands", async () => {
      const queue = await filled(4);
      const { inbox, channel } = subscribe(queue, 1);
      await arrived(inbox, ["0"]);
      expect(await broker.admin.purge(queue)).toBe(3);
      expect(await broker.admin.depth(queue)).toBe(0);
      await channel.close();
      await depth(queue, 1);
    });
  });
}
