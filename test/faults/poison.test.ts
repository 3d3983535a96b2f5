import { expect, inject, it } from "vitest";
import { LIMITS } from "../../core/contract/limits.ts";
import { keys, until } from "../fixture/pool.ts";
import { Stage } from "../fixture/stage.ts";

/** RabbitMQ's count makes a suspect of a job when it comes for the third time. */
const UNSUSPECTED = 2;

it("a job that kills every process it starts in is buried as poison; its neighbours all end done, uncharged", async () => {
  // One more than it can kill: nothing waits for a lease to run out.
  const stage = await Stage.open({ tasks: LIMITS.poisonStarts + UNSUSPECTED + 1, slots: 10, amqpUrl: inject("amqpUrl") });
  const { api } = stage.cloud;
  const partition = `acme.poison.${process.pid}`;
  const neighbours = keys(12);
  await api.start(partition, { queues: { default: 64 } });
  const { tasks } = await api.tasks();
  await until("every task consumes", async () => {
    const [queue] = (await api.partition(partition)).queues;
    return queue !== undefined && Object.keys(queue.shares).length === tasks.length;
  });
  await stage.enqueue(partition, neighbours, { ms: 2_000 });
  await until("the neighbours run", () => stage.depth().now === neighbours.length);
  await stage.enqueue(partition, ["killer"], { ms: 0, name: "kill" });
  await until("it is buried", async () => (await api.jobs(partition, { state: "buried" })).jobs.length > 0, 60_000);

  const starts = stage.lines().filter(({ key }) => key === "killer");
  expect(starts.map(({ attempt }) => attempt)).toEqual(Array.from({ length: LIMITS.poisonStarts + UNSUSPECTED }, () => 1));
  expect(new Set(starts.map(({ pid }) => pid)).size).toBe(starts.length);
  await until("the neighbours are done", () => stage.ended().size === neighbours.length, 120_000);
  expect(stage.lines().filter(({ attempt }) => attempt !== 1)).toEqual([]);
  const { jobs: buried } = await api.jobs(partition, { state: "buried" });
  expect(buried).toMatchObject([{ name: "kill", reason: "poison", attempt: 1 }]);
  await until("nothing is parked", async () => (await api.jobs(partition, { state: "parked" })).jobs.length === 0);
  await api.stop(partition);
  await api.delete(partition, { force: true });
}, 300_000);
