import { expect, it, onTestFinished } from "vitest";
import { openBroker } from "../../broker/broker.ts";
import type { BrokerEvent } from "../../broker/events.ts";
import { PublishLate } from "../../core/contract/errors.ts";
import { startRabbit } from "../../local/rabbitmq/start.ts";
import { until } from "../fixture/pool.ts";

it("RabbitMQ with a memory alarm is known to take no messages from the first publish on, and its publishes say why", async () => {
  const rabbit = await startRabbit({ memoryLimit: "1MB" });
  onTestFinished(() => rabbit.stop());
  const events: BrokerEvent[] = [];
  const broker = openBroker({ url: rabbit.url, name: "alarm", publishDeadlineMs: 1_000, onEvent: (event) => void events.push(event) });
  onTestFinished(() => broker.stop());
  await broker.start();
  await until("it is connected", () => broker.connected);
  expect(broker.takesMessages).toBe(true);
  const published = broker.publisher.publish({ brokerQueue: "acme-default", partition: "acme", id: "job-1", body: "{}" });
  await expect(published).rejects.toThrow(PublishLate);
  await expect(published).rejects.toThrow(/takes no messages \(low on memory\)/);
  expect(broker.takesMessages).toBe(false);
  expect(broker.connected).toBe(true);
  expect(events.map(({ kind }) => kind)).toContain("blocked");
});
