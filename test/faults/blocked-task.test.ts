import { expect, inject, it } from "vitest";
import { keys, until } from "../fixture/pool.ts";
import { Stage } from "../fixture/stage.ts";

it("a job that blocks its task is killed with it after 18 s, and others take over what the task held", async () => {
  const stage = await Stage.open({ tasks: 2, slots: 10, amqpUrl: inject("amqpUrl") });
  const { api } = stage.cloud;
  const partition = `acme.blocked.${process.pid}`;
  await api.start(partition, { queues: { default: 2, other: 2 } });
  await stage.enqueue(partition, ["blocker"], { ms: 25_000, name: "block" });
  await until("it blocks", () => stage.lines().length > 0);
  const blockedPid = stage.lines()[0]?.pid as number;
  const blocked = stage.running.find(({ pid }) => pid === blockedPid);
  await until("the watchdog has ended the task", () => blocked?.lastStatus === "STOPPED", 60_000);
  stage.noteDeath(blockedPid);
  expect(blocked?.exitCode).toBe(137);
  await stage.enqueue(partition, keys(20), { ms: 50 });
  await until("all jobs are done, the blocker too", () => stage.ended().size === 21, 120_000);
  // How deep it gets depends on when the dead task's share is taken over; never deeper than max_workers.
  expect(stage.depth().deepest).toBeLessThanOrEqual(2);
  expect(stage.depth().doubled).toEqual([]);
  await until(
    "living tasks hold all that the dead one held",
    async () => {
      const living = new Set((await api.tasks()).tasks.filter(({ state }) => state === "live").map(({ task }) => task));
      const { queues } = await api.partition(partition);
      return queues.every(({ held, shares }) => held === 2 && Object.keys(shares).every((task) => living.has(task)));
    },
    60_000,
  );
  await api.stop(partition);
  await api.delete(partition, { force: true });
}, 300_000);
