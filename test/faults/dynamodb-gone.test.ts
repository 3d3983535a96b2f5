import { expect, it } from "vitest";
import { dynamoOutage, expectNoneLost } from "../fixture/outage.ts";
import { keys, until } from "../fixture/pool.ts";

it("DynamoDB that is gone for 40 s ends the tasks by their watchdogs; others come, and no job is lost or runs beside itself", async () => {
  const { proxy, stage, partition, outage, count } = await dynamoOutage("gone");
  const jobs = keys(60);
  await stage.enqueue(partition, jobs, { ms: 1_500 });
  await until("work under way", () => count("end") >= 4);
  const before = new Set(stage.running.map(({ pid }) => pid));
  await outage(40_000, () => proxy.refuse());
  await until("all are done", () => stage.ended().size === jobs.length, 180_000);
  expectNoneLost(stage, jobs);
  expect(stage.running.filter(({ pid }) => before.has(pid))).toEqual([]);
  await until(
    "the tasks are all back",
    async () => (await stage.cloud.api.tasks()).tasks.filter(({ state }) => state === "live").length === 2,
    90_000,
  );
}, 400_000);
