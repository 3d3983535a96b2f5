import { expect, it } from "vitest";
import { dynamoOutage, expectExact } from "../fixture/outage.ts";
import { keys, until } from "../fixture/pool.ts";

it("DynamoDB that is silent for 5 s disturbs no running job, and for 15 s loses and doubles none", async () => {
  const { proxy, stage, partition, outage, count } = await dynamoOutage("silent");
  const first = keys(40, "first");
  await stage.enqueue(partition, first, { ms: 800 });
  await until(
    "work under way, and nothing parked",
    async () => count("end") >= 4 && (await stage.cloud.api.jobs(partition, { state: "parked" })).jobs.length === 0,
  );
  const tasks = stage.running.map(({ pid }) => pid);
  await outage(5_000, () => proxy.stall());
  await until("the first are done", () => stage.ended().size === first.length, 60_000);
  expect(count("abort")).toBe(0);
  expectExact(stage, first);
  expect(stage.running.map(({ pid }) => pid)).toEqual(tasks);

  // Some run for so long that they are under way when trust in the lease ends, 12 s after its last renewal.
  const [long, short] = [keys(2, "long"), keys(20, "short")];
  await stage.enqueue(partition, long, { ms: 16_000 });
  await until("the long ones run", () => count("start") === first.length + long.length, 60_000);
  await stage.enqueue(partition, short, { ms: 1_000 });
  await outage(15_000, () => proxy.stall());
  await until("all are done", () => stage.ended().size === first.length + long.length + short.length, 120_000);
  expect(count("abort")).toBeGreaterThanOrEqual(long.length);
  expectExact(stage, [...first, ...long, ...short]);
}, 300_000);
