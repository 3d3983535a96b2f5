import { expect, inject, it } from "vitest";
import { forEachWithin } from "../../core/contract/window.ts";
import { dueShardsOf } from "../../core/job/due-shard.ts";
import { keys, Pool, Probe, until } from "../fixture/pool.ts";

/** Enough to keep a task busy for seconds. */
const FLOOD = 1_600;

it("a tenant's job that falls due behind a flood of another's runs long before the flood is through", async () => {
  const probe = new Probe();
  probe.runMs = 1;
  const pool = await Pool.open(inject("amqpUrl"), [probe.job]);
  const flood = pool.name("flood");
  // Its neighbour at both keys of the index: nobody is hit harder.
  const alone = Array.from({ length: 10_000 }, (_, i) => pool.name(`alone${i}`)).find((id) => sameShards(id, flood)) ?? "";
  await forEachWithin(16, keys(FLOOD, "flood"), async (key) => void (await pool.enqueue(flood, "probe", { key })));
  await pool.enqueue(alone, "probe", { key: "alone" });
  await pool.commandOnly(alone, { type: "start", pools: { default: { default: 1 } } });
  await pool.commandOnly(flood, { type: "start", pools: { default: { default: 1 } } });
  await pool.addTask();
  await until("the lonely job runs", () => probe.started.includes("alone"));
  const { jobs } = await pool.store.parked.list(flood, { limit: FLOOD });
  expect(jobs.length).toBeGreaterThan(FLOOD / 2);
}, 120_000);

function sameShards(one: string, other: string): boolean {
  return String([...dueShardsOf(one)].sort()) === String([...dueShardsOf(other)].sort());
}
