/**
 * What `enqueueMany` costs against the bare confirm loop of amqplib with the same window: node CPU per job, interleaved in
 * one process on one broker. The measure is the ratio; rates move with whatever else the machine does. A last run, five
 * times as long, shows that memory stays as it is.
 *
 *   node bench/enqueue.ts [jobs per round = 20000] [rounds = 5]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { connect as connectBare } from "amqplib";
import { z } from "zod";
import { openBroker } from "../broker/broker.ts";
import { connect } from "../client/connect.ts";
import { systemClock } from "../core/contract/clock.ts";
import { jobSpec } from "../core/job/define-job.ts";
import { applyCommand } from "../core/partition/commands.ts";
import { startRabbit } from "../local/rabbitmq/start.ts";
import { openDocument } from "../store/client.ts";
import { openStore } from "../store/store.ts";
import { createTable } from "../store/table.ts";

const jobs = Number(process.argv[2] ?? 20_000);
const rounds = Number(process.argv[3] ?? 5);
const WINDOW = 200;
const LONG = 5;
const partition = "bench";
const brokerQueue = `${partition}-default`;

const dynamo = spawn(process.execPath, [new URL("./dynamo-process.ts", import.meta.url).pathname], { stdio: ["pipe", "pipe", "inherit"] });
const [endpoint] = (await once(createInterface(dynamo.stdout), "line")) as [string];
const rabbit = await startRabbit({ onProgress: (line) => console.log(line) });
const document = openDocument({ endpoint, region: "local" });
await createTable(document, "bench");
const store = openStore({ document, table: "bench", clock: systemClock });
await store.partitions.commit(undefined, applyCommand(partition, undefined, { type: "start", pools: { default: { default: 10 } } }));
const broker = openBroker({ url: rabbit.url, name: "bench", onEvent: () => undefined });
await broker.start();
await broker.admin.ensure(brokerQueue);

const spec = jobSpec({ name: "send-invoice", args: z.object({ invoice: z.string(), customer: z.string(), cents: z.number() }) });
const argsOf = (i: number) => ({ invoice: `2026-${i}`, customer: "c-12345", cents: 12_345 });
const client = connect({ table: "bench", endpoint, region: "local", amqpUrl: rabbit.url });

const bareConnection = await connectBare(rabbit.url, { noDelay: true });
const bareChannel = await bareConnection.createConfirmChannel();

/** The least that a confirmed publish of such a body can be. */
async function bare(count: number): Promise<void> {
  let next = 0;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const i = next++;
      const body = Buffer.from(JSON.stringify({ id: String(i), name: spec.name, args: argsOf(i), partition, queue: "default" }));
      const options = { mandatory: true, persistent: true, contentType: "application/json", messageId: String(i), appId: partition };
      bareChannel.publish("", brokerQueue, body, options, (error: unknown) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  const lane = async (): Promise<void> => {
    while (next < count) await one();
  };
  await Promise.all(Array.from({ length: WINDOW }, lane));
}

function* items(count: number) {
  for (let i = 0; i < count; i++) yield { args: argsOf(i) };
}

async function roger(count: number): Promise<void> {
  const { enqueued } = await client.enqueueMany(spec, items(count), { partition, window: WINDOW });
  if (enqueued !== count) throw new Error(`${enqueued} of ${count} jobs were enqueued`);
}

interface Measured {
  readonly cpuUs: number;
  readonly perSecond: number;
}

async function measure(work: (count: number) => Promise<void>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await work(jobs);
  const used = process.cpuUsage(cpu);
  const measured = { cpuUs: (used.user + used.system) / jobs, perSecond: (jobs / (performance.now() - begin)) * 1_000 };
  await broker.admin.purge(brokerQueue);
  return measured;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const pairs: { readonly a: Measured; readonly b: Measured }[] = [];
for (let round = 0; round <= rounds; round++) {
  const order = round % 2 === 0 ? [bare, roger] : [roger, bare];
  const results = new Map([
    [order[0], await measure(order[0] as typeof bare)],
    [order[1], await measure(order[1] as typeof bare)],
  ]);
  const [a, b] = [results.get(bare) as Measured, results.get(roger) as Measured];
  // The first round warms up.
  if (round === 0) continue;
  pairs.push({ a, b });
  console.log(
    `round ${round}: bare ${a.cpuUs.toFixed(1)} us, enqueueMany ${b.cpuUs.toFixed(1)} us of node CPU per job, ratio ${(b.cpuUs / a.cpuUs).toFixed(2)}`,
  );
}
const rate = (pick: (pair: (typeof pairs)[number]) => number): string => median(pairs.map(pick)).toFixed(0);
console.log(
  `ratio of node CPU, median of ${rounds}: ${median(pairs.map(({ a, b }) => b.cpuUs / a.cpuUs)).toFixed(2)}; of rates: ${median(pairs.map(({ a, b }) => b.perSecond / a.perSecond)).toFixed(2)} (${rate(({ a }) => a.perSecond)} and ${rate(({ b }) => b.perSecond)} jobs/s)`,
);

/** The most heap seen, in MB. */
let most = 0;
const heap = (): number => process.memoryUsage().heapUsed / 1e6;
const before = heap();
const watch = setInterval(() => {
  most = Math.max(most, heap());
}, 50);
await roger(LONG * jobs);
clearInterval(watch);
console.log(`${LONG * jobs} jobs: heap ${before.toFixed(0)} MB before, at most ${most.toFixed(0)} MB meanwhile, garbage included`);

await client.close();
await bareConnection.close();
await broker.stop();
document.destroy();
await rabbit.stop();
dynamo.stdin.end();
await once(dynamo, "exit");
