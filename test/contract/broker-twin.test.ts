import { randomUUID } from "node:crypto";
import { describe } from "vitest";
import { brokerQueue } from "../../core/contract/names.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { brokerSuite } from "./suites/broker.ts";
import { rabbitmqSuite } from "./suites/rabbitmq.ts";

describe("in memory", () =>
  brokerSuite(async () => {
    const broker = new MemoryBroker(new MemoryRabbit());
    const partition = `t${randomUUID().slice(0, 8)}`;
    return { broker, partition, queue: (type = "default") => brokerQueue(partition, type), cut: () => broker.reconnect() };
  }));

describe("RabbitMQ", rabbitmqSuite);
