import { afterEach, inject } from "vitest";
import { BrokerWorld } from "../broker-world.ts";
import { brokerSuite } from "../contract/suites/broker.ts";
import { describeUnless } from "./describe-unless.ts";

describeUnless(inject("missing").docker, "the broker on RabbitMQ 4", () => {
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
