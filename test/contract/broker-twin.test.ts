import { randomUUID } from "node:crypto";
import { afterEach, describe } from "vitest";
import { brokerQueue } from "../../core/contract/names.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { BrokerWorld } from "../broker-world.ts";
import { brokerSuite } from "./suites/broker.ts";

describe("in memory", () =>
  brokerSuite(async () => {
    const broker = new MemoryBroker(new MemoryRabbit());
    const partition = `t${randomUUID().slice(0, 8)}`;
    return { broker, partition, queue: (type = "default") => brokerQueue(partition, type), cut: () => broker.reconnect() };
  }));

describe("RabbitMQ", () => {
  const worlds: BrokerWorld[] = [];
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close();
  });

  brokerSuite(async () => {
    const world = new BrokerWorld();
    worlds.push(world);
    const proxy = await world.proxy();
    const broker = await world.broker({ url: proxy.url });
    return { broker, partition: world.partition, queue: (type) => world.queue(type), cut: () => proxy.cut() };
  });
});
