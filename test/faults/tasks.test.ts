import { ECSClient, RunTaskCommand, StopTaskCommand } from "@aws-sdk/client-ecs";
import { expect, inject, it, onTestFinished } from "vitest";
import { keys, until } from "../fixture/pool.ts";
import { Stage } from "../fixture/stage.ts";

it("max_workers stays exact and nothing is lost while tasks are added, drained and killed", async () => {
  const stage = await Stage.open({ tasks: 3, slots: 10, amqpUrl: inject("amqpUrl") });
  const { api, ecs } = stage.cloud;
  const client = new ECSClient({ endpoint: ecs.endpoint, region: "local", credentials: { accessKeyId: "x", secretAccessKey: "x" } });
  onTestFinished(() => client.destroy());
  const partition = `acme.faults.${process.pid}`;
  const jobs = keys(400);
  await api.start(partition, { queues: { default: 5 } });
  await stage.enqueue(partition, jobs, { ms: 400 });
  await until("work under way", () => stage.ended().size > 15, 60_000);

  await client.send(new RunTaskCommand({ cluster: "roger", taskDefinition: "roger-worker" }));
  await until("a fourth task runs", async () => (await api.tasks()).tasks.length === 4, 60_000);

  const [drained] = stage.running;
  await client.send(new StopTaskCommand({ cluster: "roger", task: drained?.id as string }));
  await until("it has drained", () => drained?.lastStatus === "STOPPED", 120_000);
  expect(drained?.exitCode).toBe(0);

  const cutOff = await stage.haltedAtWork();
  await stage.kill(cutOff.task);

  await until("all jobs done", () => stage.ended().size === jobs.length, 200_000);
  const startsOf = (key: string): number => stage.lines().filter((line) => line.what === "start" && line.key === key).length;
  for (const key of cutOff.jobs) expect([key, startsOf(key)]).toEqual([key, 2]);
  expect(stage.depth()).toMatchObject({ deepest: 5, doubled: [] });
  await until("nothing is left", async () => {
    const view = await api.partition(partition);
    return (
      view.queues.every(({ ready, running }) => ready === 0 && running === 0) && (await api.jobs(partition, { state: "parked" })).jobs.length === 0
    );
  });
  await api.stop(partition);
  await api.delete(partition, { force: true });
}, 400_000);
