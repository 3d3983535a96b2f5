import { expect, it } from "vitest";
import { keys, until } from "../fixture/pool.ts";
import { Stage } from "../fixture/stage.ts";

it("a broker that is killed, and one that is away, loses no accepted job", async () => {
  const stage = await Stage.open({ tasks: 2, slots: 10 });
  const { api, rabbit } = stage.cloud;
  await api.start("acme", { queues: { default: 10 } });
  await stage.enqueue("acme", keys(200), { ms: 1_500 });
  await until(
    "ten run, and the rest is in RabbitMQ",
    async () => stage.depth().now === 10 && (await api.jobs("acme", { state: "parked" })).jobs.length === 0,
    60_000,
  );
  await rabbit.kill();

  // Accepted while RabbitMQ is away: durable in the table.
  await stage.enqueue("acme", keys(20, "late"), { ms: 10 });
  await rabbit.restart();
  await until("all jobs done", () => stage.ended().size === 220, 200_000);
  expect(stage.depth()).toMatchObject({ deepest: 10, doubled: [] });
}, 400_000);
