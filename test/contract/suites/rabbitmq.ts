import { afterEach } from "vitest";
import { BrokerWorld } from "../../broker-world.ts";
import { brokerSuite } from "./broker.ts";

/** The broker room's contract, held against the RabbitMQ that this run has; a connection is cut by a proxy before it. */
export function rabbitmqSuite(): void {
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
}
