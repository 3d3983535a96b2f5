import { afterEach, describe } from "vitest";
import { applyCommand } from "../../core/partition/commands.ts";
import { virtualClock } from "../../testing/clock.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { emptyState } from "../../testing/memory-state.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { BrokerWorld } from "../broker-world.ts";
import { type CrashWorld, clientCrashSuite } from "./suites/client-crash.ts";
import { useDynalite } from "./suites/dynalite.ts";

const START = { type: "start", pools: { default: { default: 1 } } } as const;

describe("in memory", () => {
  clientCrashSuite(async () => {
    const state = emptyState();
    const clock = virtualClock();
    const broker = new MemoryBroker(new MemoryRabbit(state));
    const partition = "acme";
    const row = applyCommand(partition, undefined, START);
    const queue = `${partition}-default`;
    await broker.admin.ensure(queue);
    return {
      partition,
      clock,
      store: {
        ...memoryStore({ clock, state }),
        partitions: { get: async (id: string) => (id === partition ? row : undefined) },
        tasks: { reports: async () => [] },
      } as unknown as CrashWorld["store"],
      publisher: broker.publisher,
      take: async () => {
        const bodies = (await broker.admin.peek(queue, 100)) ?? [];
        await broker.admin.purge(queue);
        return bodies;
      },
    };
  });
});

describe("on DynamoDB and RabbitMQ", () => {
  const { open } = useDynalite();
  const worlds: BrokerWorld[] = [];
  afterEach(async () => {
    for (const world of worlds.splice(0)) await world.close();
  });

  clientCrashSuite(
    async () => {
      const { store, clock } = await open();
      const world = new BrokerWorld();
      worlds.push(world);
      const { partition } = world;
      await store.partitions.commit(undefined, applyCommand(partition, undefined, START));
      const broker = await world.broker();
      const queue = world.queue();
      await broker.admin.ensure(queue);
      return {
        partition,
        clock,
        store,
        publisher: broker.publisher,
        take: async () => {
          const bodies = (await broker.admin.peek(queue, 100)) ?? [];
          await broker.admin.purge(queue);
          return bodies;
        },
      };
    },
    (name) => ["a job with a key", "a job with an id of the caller's", "a job with a key, its confirm lost"].includes(name),
  );
});
