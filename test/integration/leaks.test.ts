import { connect } from "amqplib";
import { expect, inject, it, onTestFinished } from "vitest";
import { z } from "zod";
import { defineJob } from "../../core/job/define-job.ts";
import { Tenant } from "../fixture/application.ts";
import { Ledger } from "../fixture/ledger.ts";
import { until } from "../fixture/pool.ts";

const ROUNDS = 20;
const FIRST_ROUNDS = 5;
/** Fewer than those that come after the first rounds. */
const SOME = 10;

/** What keeps this process busy: its tasks', its DynamoDB's, its test's. */
function resources(): { readonly timers: number; readonly sockets: number } {
  const all = process.getActiveResourcesInfo();
  return { timers: all.filter((name) => name === "Timeout").length, sockets: all.filter((name) => name === "TCPSocketWrap").length };
}

it("a partition that is started, changed, paused and stopped 20 times leaves no consumer, no timer and no socket behind", async () => {
  const ledger = new Ledger();
  const job = defineJob({ name: "job", args: z.object({ job: z.string() }), perform: (args) => ledger.run(args.job, args.job, () => undefined) });
  const tenant = await Tenant.open([job], { tasks: 2, queues: { default: 2, other: 1 } });
  const { pool, id: partition, client } = tenant;
  const connection = await connect(inject("amqpUrl"));
  onTestFinished(() => connection.close());
  const channel = await connection.createChannel();
  const consumers = async (queue: string) => (await channel.checkQueue(`${partition}-${queue}`)).consumerCount;

  // To ask for a queue that is not there yet would cost the test its channel.
  await until("both queues are there", async () => (await tenant.ready()) === 0 && (await tenant.ready("other")) === 0);

  const atFirst: ReturnType<typeof resources>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await pool.commandOnly(partition, { type: "start", pools: { default: { default: 2, other: 1 } } });
    await until("both queues are consumed", async () => (await consumers("default")) > 0 && (await consumers("other")) > 0);
    await pool.commandOnly(partition, { type: "pause", queue: "default" });
    await pool.commandOnly(partition, { type: "resume", queue: "default" });
    await pool.commandOnly(partition, { type: "reconfigure", pools: { default: { default: 3 } } });
    await client.enqueue(job, { job: `job${round}` }, { partition });
    await until("it is done, and the dropped queue let go", async () => ledger.done.length === round + 1 && (await consumers("other")) === 0);
    await pool.commandOnly(partition, { type: "stop" });
    await until("no consumer is left", async () => (await consumers("default")) === 0);
    if (round < FIRST_ROUNDS) atFirst.push(resources());
  }
  expect(ledger.started).toHaveLength(ROUNDS);
  expect(pool.events.filter(({ type }) => type === "trouble")).toEqual([]);
  // Sockets to the table are pooled and timers come and go: what leaks with each round never goes.
  const timers = Math.min(...atFirst.map((each) => each.timers)) + SOME;
  const sockets = Math.min(...atFirst.map((each) => each.sockets)) + SOME;
  await until("timers and sockets are as few as in the first rounds", () => {
    const now = resources();
    return now.timers < timers && now.sockets < sockets;
  });
}, 120_000);
