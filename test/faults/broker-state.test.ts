import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { defineJob } from "../../core/job/define-job.ts";
import { startRabbit } from "../../local/rabbitmq/start.ts";
import { Tenant } from "../fixture/application.ts";
import { Door, Ledger } from "../fixture/ledger.ts";
import { keys, until } from "../fixture/pool.ts";
import { areWrittenDown } from "../fixture/quorum-directory.ts";

/** Jobs accepted while the broker is away, before it comes back. */
const ACCEPTED_MEANWHILE = 60;

it("a broker that is killed takes no job with it: none that runs, waits for a key or a retry, is buried, queued, or enqueued in that moment", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "roger-broker-state-"));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  const rabbit = await startRabbit({ dataDir });
  onTestFinished(() => rabbit.stop());
  const ledger = new Ledger();
  const door = new Door();
  const args = z.object({ job: z.string() });
  const plain = defineJob({ name: "plain", args, perform: ({ job }) => ledger.run(job, job, () => undefined) });
  const still = defineJob({ name: "still", args, queue: "still", perform: ({ job }) => ledger.run(job, job, () => undefined) });
  const serial = defineJob({
    name: "serial",
    args,
    executionKey: () => "k",
    perform: ({ job }, ctx) => ledger.run("k", job, () => door.pass(ctx.signal)),
  });
  const boom = defineJob({ name: "boom", args, perform: () => Promise.reject(new Error("boom")) });
  const flaky = defineJob({
    name: "flaky",
    args,
    retry: { levels: [15] },
    perform: ({ job }, { attempt }) => ledger.run(job, job, () => (attempt === 1 ? Promise.reject(new Error("not yet")) : undefined)),
  });
  const tenant = await Tenant.open([plain, still, serial, boom, flaky], { amqpUrl: rabbit.url, queues: { default: 20, still: 5 } });
  const { client, id: partition, pool } = tenant;
  const enqueue = async (spec: typeof plain, jobs: readonly string[]): Promise<void> => {
    for (const job of jobs) await client.enqueue(spec, { job }, { partition });
  };

  await pool.command(partition, { type: "pause", queue: "still" });
  await enqueue(still, keys(20, "still"));
  await enqueue(boom, keys(5, "boom"));
  await enqueue(flaky, keys(20, "flaky"));
  const [first = "", ...others] = keys(10);
  await enqueue(serial, [first]);
  await until("the first has the key", () => ledger.started.includes(first));
  await enqueue(serial, others);
  const reasons = async (reason: string) => (await tenant.parked()).filter((job) => job.reason === reason).length;
  await until("each is where it must be", async () => {
    const parked = (await reasons("retry")) === 20 && (await reasons("waiting")) === 9;
    return parked && (await tenant.buried()).length === 5 && (await tenant.ready("still")) === 20;
  });

  // Whatever `enqueue` has answered for, before, during and after.
  const accepted: string[] = [];
  let meanwhile = 0;
  let killed = false;
  const flood = Promise.all(
    keys(10, "w").map(async (writer) => {
      for (let i = 0; meanwhile < ACCEPTED_MEANWHILE; i++) {
        const job = `${writer}/${i}`;
        const wasKilled = killed;
        await client.enqueue(plain, { job }, { partition });
        accepted.push(job);
        if (wasKilled) meanwhile += 1;
        else await new Promise((resolve) => setImmediate(resolve));
      }
    }),
  );
  await until("the flood is under way", () => accepted.length > 200);
  await until("RabbitMQ has written down that the queues exist", () => areWrittenDown(dataDir, [`${partition}-default`, `${partition}-still`]));
  const killing = rabbit.kill();
  killed = true;
  await killing;
  await flood;
  await rabbit.restart();

  await pool.command(partition, { type: "resume", queue: "still" });
  door.open();
  const wanted = [...accepted, ...keys(20, "still"), ...keys(20, "flaky"), ...keys(10)].sort();
  await until("all accepted jobs are done", () => new Set(ledger.done).size === wanted.length, 90_000);
  expect([...new Set(ledger.done)].sort()).toEqual(wanted);
  // The holder was aborted with its connection, and ran again before any of those who waited.
  expect(ledger.started.filter((job) => /^k\d$/.test(job))).toEqual(["k0", ...keys(10)]);
  expect(ledger.overlaps).toEqual([]);
  expect((await tenant.buried()).map(({ error }) => error.message)).toEqual(Array.from({ length: 5 }, () => "boom"));
  await until("nothing is left", async () => (await tenant.parked()).length === 0 && (await tenant.isFree("k")));
}, 240_000);
