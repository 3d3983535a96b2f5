import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { z } from "zod";
import { defineJob } from "../../core/job/define-job.ts";
import { Tenant } from "../fixture/application.ts";
import { Ledger } from "../fixture/ledger.ts";
import { keys, until } from "../fixture/pool.ts";

it("garbage and messages that are no jobs, among good ones, are buried whole; every good one runs once, and no place is lost", async () => {
  const ledger = new Ledger();
  const good = defineJob({ name: "good", args: z.object({ job: z.string() }), perform: ({ job }) => ledger.run(job, job, () => undefined) });
  const tenant = await Tenant.open([good], { queues: { default: 5 } });
  const { client, id: partition, pool } = tenant;
  await client.enqueue(good, { job: "first" }, { partition });
  await until("the queue is there", () => ledger.done.length === 1);
  const publish = (body: string) =>
    pool.broker.publisher.publish({ brokerQueue: `${partition}-default`, partition, id: randomBytes(4).toString("hex"), body });
  const bad = [
    "",
    "not json",
    "null",
    "[]",
    '{"v":1}',
    JSON.stringify({ v: 0, id: "x", name: "good", args: {}, partition, queue: "default", attempt: 1, enqueued_at: 1 }),
    ...[1, 2].map((v) =>
      JSON.stringify({ v, id: "x", name: "good", args: {}, partition: "elsewhere", queue: "default", attempt: 1, enqueued_at: 1 }),
    ),
    "\u0000\ufffd".repeat(1_000),
    JSON.stringify({ v: 1, id: "x", name: "good", args: {}, partition, queue: "default", attempt: 1, enqueued_at: 1, queue_key: 7 }),
  ];
  await Promise.all([
    ...bad.map(publish),
    client.enqueueMany(
      good,
      keys(100).map((job) => ({ args: { job } })),
      { partition },
    ),
    ...bad.map((body) => publish(`${body} `)),
  ]);
  await until("all good jobs are done", () => ledger.done.length === 101);
  await until("all bad ones are buried", async () => (await tenant.buried()).length === 2 * bad.length);
  expect(ledger.started).toHaveLength(101);
  const graves = await tenant.buried();
  expect(graves.every(({ reason, name }) => reason === "invalid_envelope" && name === "")).toBe(true);
  expect(new Set(graves.map(({ body }) => body))).toEqual(new Set(bad.flatMap((body) => [body, `${body} `])));
  // No delivery is left unsettled: a channel that closes would bring it back.
  await pool.command(partition, { type: "stop" });
  expect(await tenant.ready()).toBe(0);
});
