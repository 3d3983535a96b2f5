/**
 * A thousand tenants on one task: how long starting them takes through the HTTP API, how long until the task serves every
 * queue, what memory it then takes, and whether a job of each tenant runs.
 *
 *   node bench/many-partitions.ts [partitions = 1000]
 *
 * A quorum queue takes three file handles of RabbitMQ: 3,000 partitions of two queues need about 18,000 (`ulimit -Hn`).
 */
import { systemClock } from "../core/contract/clock.ts";
import { forEachWithin } from "../core/contract/window.ts";
import { startCloud } from "../local/cloud.ts";
import { localSettings } from "../local/environment.ts";

const count = Number(process.argv[2] ?? 1_000);
const ids = Array.from({ length: count }, (_, i) => `tenant-${i}`);
const cloud = await startCloud(localSettings(["--tasks", "1", "--slots", "50", "--port", "0"]));
const { api, store } = cloud;

const seconds = (since: number): string => ((systemClock.monotonic() - since) / 1_000).toFixed(1);
const megabytes = async (): Promise<string> => {
  const [task] = (await api.tasks()).tasks;
  return task?.memory_bytes == null ? "?" : (task.memory_bytes / 1e6).toFixed(0);
};

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const end = systemClock.monotonic() + 600_000;
  while (!(await condition())) {
    if (systemClock.monotonic() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Shares held over all partitions, read from the table. */
async function held(): Promise<number> {
  let sum = 0;
  for (let cursor: string | undefined; ; ) {
    const page = await store.partitions.list({ limit: 500, ...(cursor === undefined ? {} : { cursor }) });
    for (const row of page.partitions) for (const n of Object.values(row.held)) sum += n;
    if (page.cursor === undefined) return sum;
    cursor = page.cursor;
  }
}

async function parked(): Promise<number> {
  let sum = 0;
  await forEachWithin(8, ids, async (id) => {
    const { jobs } = await store.parked.list(id, { limit: 10 });
    sum += jobs.length;
  });
  return sum;
}

try {
  await until("the task", async () => (await api.tasks()).tasks.length === 1);
  console.log(`the idle task takes ${await megabytes()} MB`);
  const begin = systemClock.monotonic();
  await forEachWithin(16, ids, async (id) => void (await api.start(id, { queues: { default: 2, other: 1 } })));
  console.log(`${count} partitions of 2 queues started in ${seconds(begin)} s`);
  await until("every share", async () => (await held()) === count * 3);
  console.log(`the task holds every queue ${seconds(begin)} s after the first start`);
  const enqueued = systemClock.monotonic();
  await forEachWithin(16, ids, async (id) => void (await api.enqueue(id, { name: "sleep", args: { seconds: 0 } })));
  await until("the outbox to be empty", async () => (await parked()) === 0);
  await until("every job", async () => (await api.tasks()).tasks.every(({ free, slots }) => free === slots));
  console.log(`one job of each ran within ${seconds(enqueued)} s; the task takes ${await megabytes()} MB`);
} finally {
  await cloud.stop();
}
