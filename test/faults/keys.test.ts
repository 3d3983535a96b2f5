import { expect, inject, it } from "vitest";
import { groupOf } from "../fixture/jobs.ts";
import { keys, until } from "../fixture/pool.ts";
import { randomOf } from "../fixture/random.ts";
import { Stage } from "../fixture/stage.ts";

/** Another one: `ROGER_TEST_SEED=7 npm test`. */
const seed = Number(process.env.ROGER_TEST_SEED ?? Math.floor(Math.random() * 1e6));

it("tasks killed at random: every job of every kind is done, no two of one key ran side by side, and no key stays taken", async () => {
  console.log(`seed ${seed}`);
  const random = randomOf(seed);
  const stage = await Stage.open({ tasks: 3, slots: 10, amqpUrl: inject("amqpUrl") });
  const { api } = stage.cloud;
  const partition = `acme.keys.${process.pid}`;
  await api.start(partition, { queues: { default: 12 } });
  const jobs = {
    record: keys(60, "plain"),
    unique: keys(60, "unique"),
    serial: keys(60, "n").map((key, i) => `group${i % 4}/${key}`),
  };
  for (const [name, of] of Object.entries(jobs)) await stage.enqueue(partition, of, { ms: 200, name });

  const starts = () => stage.lines().filter(({ what }) => what === "start").length;
  for (let kills = 0; kills < 3; kills++) {
    const at = starts() + random.between(5, 34);
    await until(`${at} starts`, () => starts() >= at || stage.ended().size >= 150, 60_000);
    const { running } = stage;
    if (running.length > 0) await stage.kill(random.pick(running));
  }
  await until("all jobs are done", () => stage.ended().size === 180, 150_000);
  expect(stage.depth()).toMatchObject({ doubled: [] });
  expect(stage.depth((key) => (key.startsWith("group") ? groupOf(key) : key)).doubled).toEqual([]);
  expect(stage.depth().deepest).toBeLessThanOrEqual(12);

  // Every key can be had again; `stage.enqueue` throws if one is refused.
  await until("no job is left in any hands", async () =>
    (await api.partition(partition)).queues.every(({ running, ready }) => running === 0 && ready === 0),
  );
  const again = starts();
  await stage.enqueue(partition, jobs.unique, { ms: 1, name: "unique" });
  await stage.enqueue(
    partition,
    keys(4, "group").map((group) => `${group}/again`),
    { ms: 1, name: "serial" },
  );
  await until("all run again", () => starts() === again + 64, 60_000);
  await until("nothing is left", async () => (await api.jobs(partition, { state: "parked" })).jobs.length === 0);
  expect((await api.jobs(partition, { state: "buried" })).jobs).toEqual([]);
  await api.stop(partition);
  await api.delete(partition, { force: true });
}, 300_000);
