import { PutCommand } from "@aws-sdk/lib-dynamodb";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { z } from "zod";
import type { Client } from "../../client/client.ts";
import { type ConnectOptions, connect } from "../../client/connect.ts";
import type { TransactJob } from "../../client/transact-item.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { openDocument } from "../../store/client.ts";
import { Pool, Probe, until } from "../fixture/pool.ts";
import { TcpProxy } from "../proxy.ts";

/** A task that works a partition, and jobs that say what they did. */
async function world() {
  const ran: string[] = [];
  const probe = new Probe();
  const note = defineJob({ name: "note", args: z.object({ text: z.string() }), perform: ({ text }) => void ran.push(text) });
  const once = defineJob({
    name: "once",
    args: z.object({ key: z.string() }),
    queueKey: ({ key }) => key,
    perform: (args, ctx) => probe.job.perform(args, ctx),
  });
  const pool = await Pool.open(inject("amqpUrl"), [note, once, probe.job]);
  const partition = pool.name("acme");
  await pool.addTask();
  await pool.start(partition, { default: 20 });
  const client = (options: Partial<ConnectOptions> = {}): Client => {
    const made = connect({ table: "roger", endpoint: pool.endpoint, region: "local", publishDeadlineMs: 1_000, ...options });
    onTestFinished(() => made.close());
    return made;
  };
  return { pool, partition, ran, probe, note, once, client };
}

describe("an application", () => {
  it.each([
    ["over RabbitMQ", true, "queued"],
    ["by way of the outbox", false, "parked"],
  ] as const)("enqueues %s, and a worker runs it", async (_, direct, state) => {
    const { partition, ran, note, client } = await world();
    const application = client(direct ? { amqpUrl: inject("amqpUrl") } : {});
    expect(await application.enqueue(note, { text: "hello" }, { partition })).toMatchObject({ state });
    await until("it ran", () => ran.length === 1);
    expect(ran).toEqual(["hello"]);
  });

  it("enqueues many from a source, each of which runs once", async () => {
    const { partition, ran, note, client } = await world();
    async function* source() {
      for (let i = 0; i < 2_000; i++) yield { args: { text: String(i) } };
    }
    const ids = new Set<string>();
    const { enqueued, refused } = await client({ amqpUrl: inject("amqpUrl") }).enqueueMany(note, source(), {
      partition,
      onResult: (result) => "jobId" in result && ids.add(result.jobId),
    });
    expect([enqueued, refused, ids.size]).toEqual([2_000, 0, 2_000]);
    await until("all ran", () => ran.length >= 2_000);
    expect(new Set(ran).size).toBe(2_000);
    expect(ran).toHaveLength(2_000);
  });

  it("is told who has the key, until that job has ended; and cancels it", async () => {
    const { partition, probe, once, client } = await world();
    const application = client({ amqpUrl: inject("amqpUrl") });
    const { jobId } = await application.enqueue(once, { key: "k" }, { partition });
    await until("it runs", () => probe.started.length === 1);
    await expect(application.enqueue(once, { key: "k" }, { partition })).rejects.toMatchObject({ code: "duplicate_job", existingJobId: jobId });
    await until("it is seen to run", async () => (await application.get(partition, jobId)).state === "running");
    expect(await application.cancel(partition, jobId)).toBe("cancelling");
    await until("it is aborted", () => probe.aborted.length === 1);
    await until("its key is free", async () => {
      const again = application.enqueue(once, { key: "k" }, { partition });
      return again.then(
        () => true,
        () => false,
      );
    });
    await until("the next one runs", () => probe.started.length === 2);
    probe.releaseAll();
    await until("the next one has ended", () => probe.finished.length === 1);
  });

  it("goes on while RabbitMQ is away from it, and all jobs run", async () => {
    const { partition, ran, note, client } = await world();
    const proxy = await TcpProxy.listen(inject("amqpUrl"));
    onTestFinished(() => proxy.close());
    const application = client({ amqpUrl: proxy.url });
    const enqueue = (text: string) => application.enqueue(note, { text }, { partition });
    expect(await enqueue("before")).toMatchObject({ state: "queued" });
    proxy.refuse();
    const away = await Promise.all(["a", "b", "c"].map(enqueue));
    expect(away.map(({ state }) => state)).toEqual(["parked", "parked", "parked"]);
    proxy.flow();
    await until("it is over RabbitMQ again", async () => (await enqueue("after")).state === "queued");
    await until("all ran", () => ["before", "a", "b", "c", "after"].every((text) => ran.includes(text)));
  });
});

describe("jobs in the application's own transaction", () => {
  it("run, and one with a key runs once: a second is refused until it has ended", async () => {
    const { pool, partition, ran, probe, note, once, client } = await world();
    const document = openDocument({ endpoint: pool.endpoint, region: "local" });
    onTestFinished(() => document.destroy());
    const put = ({ item }: TransactJob) => document.send(new PutCommand(item.Put));
    const application = client();
    await put(await application.toTransactItem(note, { text: "with the order" }, { partition }));
    await until("it ran", () => ran.includes("with the order"));

    const first = await application.toTransactItem(once, { key: "k" }, { partition });
    await put(first);
    const second = await application.toTransactItem(once, { key: "k" }, { partition });
    await expect(put(second)).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    await until("it runs", () => probe.started.length === 1);
    await expect(put(second)).rejects.toMatchObject({ name: "ConditionalCheckFailedException" });
    probe.releaseAll();
    await until("it has ended, and the key is free", () =>
      put(second).then(
        () => true,
        () => false,
      ),
    );
    await until("the second runs", () => probe.started.length === 2);
    probe.releaseAll();
    await until("the second has ended", () => probe.finished.length === 2);
  });
});
