/**
 * What a plain job costs in a task, against the bare consume-and-ack loop of amqplib: node CPU per job, interleaved in
 * one process on one broker. The measure is the ratio; rates move with whatever else the machine does.
 *
 *   node bench/plain-job.ts [jobs per round = 20000] [rounds = 5]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { type ConsumeMessage, connect } from "amqplib";
import { z } from "zod";
import { openBroker } from "../broker/broker.ts";
import { systemClock } from "../core/contract/clock.ts";
import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import { defineJob } from "../core/job/define-job.ts";
import { encodeEnvelope } from "../core/job/envelope.ts";
import { newJobId } from "../core/job/id.ts";
import { registryOf } from "../core/job/registry.ts";
import { applyCommand } from "../core/partition/commands.ts";
import { startRabbit } from "../local/rabbitmq/start.ts";
import { openDocument } from "../store/client.ts";
import { openStore } from "../store/store.ts";
import { createTable } from "../store/table.ts";
import { JobThreads } from "../worker/job-threads.ts";
import { Worker } from "../worker/worker.ts";

const jobs = Number(process.argv[2] ?? 20_000);
const rounds = Number(process.argv[3] ?? 5);
const PREFETCH = 50;

const dynamo = spawn(process.execPath, [new URL("./dynamo-process.ts", import.meta.url).pathname], { stdio: ["pipe", "pipe", "inherit"] });
const [endpoint] = (await once(createInterface(dynamo.stdout), "line")) as [string];
const rabbit = await startRabbit({ onProgress: (line) => console.log(line) });
const document = openDocument({ endpoint, region: "local" });
await createTable(document, "bench");
const store = openStore({ document, table: "bench", clock: systemClock });
const broker = openBroker({ url: rabbit.url, name: "bench", onEvent: () => undefined });
await broker.start();

let left = 0;
let allDone = (): void => undefined;
const counted = (): void => {
  left -= 1;
  if (left === 0) allDone();
};
const noop = defineJob({ name: "noop", args: z.object({ invoice: z.string(), customer: z.string() }), perform: counted });

async function fill(partition: string): Promise<void> {
  const brokerQueue = `${partition}-default`;
  await broker.admin.ensure(brokerQueue);
  for (let from = 0; from < jobs; from += 1_000) {
    await Promise.all(
      Array.from({ length: Math.min(1_000, jobs - from) }, () => {
        const id = newJobId();
        const args = { invoice: `2026-${id}`, customer: "c-12345" };
        const body = encodeEnvelope({ v: 1, id, name: "noop", args, partition, queue: "default", attempt: 1, enqueued_at: systemClock.now() });
        return broker.publisher.publish({ brokerQueue, partition, id, body });
      }),
    );
  }
}

interface Measured {
  readonly cpuUs: number;
  readonly perSecond: number;
}

async function measure(go: () => Promise<void>): Promise<Measured> {
  left = jobs;
  const done = new Promise<void>((resolve) => {
    allDone = resolve;
  });
  const cpu = process.cpuUsage();
  const begin = performance.now();
  await go();
  await done;
  const used = process.cpuUsage(cpu);
  return { cpuUs: (used.user + used.system) / jobs, perSecond: (jobs / (performance.now() - begin)) * 1_000 };
}

async function bare(round: number): Promise<Measured> {
  const partition = `bare.${round}`;
  await fill(partition);
  const connection = await connect(rabbit.url, { noDelay: true });
  const channel = await connection.createChannel();
  await channel.prefetch(PREFETCH);
  const measured = await measure(async () => {
    const handle = async (message: ConsumeMessage): Promise<void> => {
      JSON.parse(message.content.toString());
      await counted();
      channel.ack(message);
    };
    await channel.consume(`${partition}-default`, (message) => {
      if (message !== null) void handle(message);
    });
  });
  await channel.close();
  await connection.close();
  return measured;
}

async function worker(round: number): Promise<Measured> {
  const partition = `roger.${round}`;
  await fill(partition);
  const task = new Worker({
    boot: `bench-${round}`,
    pool: "default",
    slots: PREFETCH,
    registry: registryOf({ noop }),
    hooks: [],
    threads: new JobThreads("#jobs", PREFETCH),
    store,
    broker: openBroker({ url: rabbit.url, name: "bench worker", onEvent: () => undefined }),
    watchdog: { start: async () => undefined, stop: async () => undefined, renewed: () => undefined },
    clock: systemClock,
    timings: { ...DEFAULT_TIMINGS, poll: 100 },
    healthPort: 0,
    ecs: { arn: undefined, agentUri: undefined },
    emit: () => undefined,
    makeLog: () => ({ debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }),
    onDead: () => undefined,
  });
  await task.start();
  const measured = await measure(async () => {
    await store.partitions.commit(undefined, applyCommand(partition, undefined, { type: "start", pools: { default: { default: PREFETCH } } }));
  });
  await task.stop();
  return measured;
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number;
const results = { bare: [] as Measured[], worker: [] as Measured[] };
for (let round = 0; round <= rounds; round++) {
  const pair = round % 2 === 0 ? [await bare(round), await worker(round)] : [await worker(round), await bare(round)].reverse();
  // The first round warms up.
  if (round === 0) continue;
  const [a, b] = pair as [Measured, Measured];
  results.bare.push(a);
  results.worker.push(b);
  console.log(
    `round ${round}: bare ${a.cpuUs.toFixed(1)} us, worker ${b.cpuUs.toFixed(1)} us of node CPU per job, ratio ${(b.cpuUs / a.cpuUs).toFixed(2)}`,
  );
}
const cpu = (list: Measured[]): number => median(list.map(({ cpuUs }) => cpuUs));
const rate = (list: Measured[]): number => median(list.map(({ perSecond }) => perSecond));
console.log(`node CPU per plain job, median of ${rounds}: bare ${cpu(results.bare).toFixed(1)} us, worker ${cpu(results.worker).toFixed(1)} us`);
console.log(
  `ratio ${median(results.worker.map((b, i) => b.cpuUs / (results.bare[i] as Measured).cpuUs)).toFixed(2)} (bound: 1.15); rates ${rate(results.bare).toFixed(0)} and ${rate(results.worker).toFixed(0)} jobs/s`,
);

await broker.stop();
document.destroy();
await rabbit.stop();
dynamo.stdin.end();
await once(dynamo, "exit");
