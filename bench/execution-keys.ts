/**
 * Execution keys: how fast one key is handed on from waiter to waiter, in which order, and what memory the tasks then take;
 * and how fast pairs of jobs, two of each key, come to their ends, and whether one is stranded.
 *
 *   node bench/execution-keys.ts [waiters = 5000] [pairs = 1000]
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../core/contract/clock.ts";
import { startCloud } from "../local/cloud.ts";
import { localSettings } from "../local/environment.ts";

const waiters = Number(process.argv[2] ?? 5_000);
const pairs = Number(process.argv[3] ?? 1_000);
const jobs = new URL("./keyed-job.ts", import.meta.url).pathname;
const dir = await mkdtemp(join(tmpdir(), "roger-keys-"));
const log = join(dir, "order");
const cloud = await startCloud(localSettings(["--tasks", "2", "--slots", "20", "--port", "0", "--jobs", jobs]));
const { api } = cloud;

const since = (start: number): number => (systemClock.monotonic() - start) / 1_000;
const megabytes = async (): Promise<string> =>
  (await api.tasks()).tasks.map(({ memory_bytes }) => (memory_bytes == null ? "?" : (memory_bytes / 1e6).toFixed(0))).join(" and ");
const ran = async (): Promise<number[]> => (await readFile(log, "utf8")).split("\n").slice(0, -1).map(Number);

/** Enqueues the keys' jobs while the queue is paused, in order, then lets them go. @returns the numbers of the jobs, in the order in which they ran */
async function run(partition: string, keys: readonly string[]): Promise<number[]> {
  await writeFile(log, "");
  await api.start(partition, { queues: { default: 20 } });
  await api.pause(partition, "default", { wait: 20 });
  for (let from = 0; from < keys.length; from += 100) {
    const part = keys.slice(from, from + 100).map((key, i) => ({ name: "keyed", args: { key, log, number: from + i } }));
    await api.enqueueAll(partition, part);
  }
  const begin = systemClock.monotonic();
  await api.resume(partition, "default");
  let numbers: number[] = [];
  while (numbers.length < keys.length) {
    if (since(begin) > 3_600) throw new Error(`only ${numbers.length} of ${keys.length} have run`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const before = numbers.length;
    numbers = await ran();
    if (Math.floor(numbers.length / 1_000) > Math.floor(before / 1_000))
      console.log(`  ${numbers.length} after ${since(begin).toFixed(0)} s, ${await megabytes()} MB`);
  }
  console.log(
    `${keys.length} jobs in ${since(begin).toFixed(1)} s, ${(keys.length / since(begin)).toFixed(0)} a second; the tasks take ${await megabytes()} MB`,
  );
  return numbers;
}

try {
  while ((await api.tasks()).tasks.length < 2) await new Promise((resolve) => setTimeout(resolve, 200));
  console.log(`the idle tasks take ${await megabytes()} MB`);
  console.log("one key:");
  const order = await run(
    "one",
    Array.from({ length: waiters }, () => "k"),
  );
  console.log(`  ${order.filter((number, i) => i > 0 && number < (order[i - 1] as number)).length} ran after a younger one`);
  console.log("pairs:");
  const numbers = await run(
    "pairs",
    Array.from({ length: 2 * pairs }, (_, i) => `k${Math.floor(i / 2)}`),
  );
  console.log(`  ${2 * pairs - new Set(numbers).size} stranded, ${numbers.length - new Set(numbers).size} ran twice`);
} finally {
  await cloud.stop();
  await rm(dir, { recursive: true, force: true });
}
