import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { forEachWithin } from "../../core/contract/window.ts";
import type { JobContext } from "../../core/job/context.ts";
import { defineJob } from "../../core/job/define-job.ts";
import type { HookedJob } from "../../core/job/hooks.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { Tenant } from "../fixture/application.ts";
import { Door } from "../fixture/ledger.ts";
import { keys, until } from "../fixture/pool.ts";

/** Counts by job id what the hooks were told. */
function counting() {
  const done = new Map<string, number>();
  const cancelled = new Map<string, number>();
  const wrong: string[] = [];
  const count = (counts: Map<string, number>) => (job: HookedJob) => void counts.set(job.id, (counts.get(job.id) ?? 0) + 1);
  const hooks = {
    afterRun: count(done),
    onCancel: count(cancelled),
    onError: ({ id }: HookedJob) => void wrong.push(`${id} failed`),
    onBuried: ({ id }: HookedJob) => void wrong.push(`${id} was buried`),
  };
  return { hooks, done, cancelled, wrong };
}

/** A cancel may be repeated: what a caller does whose table is slow. */
async function askAgain<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || tries === 5) throw error;
    }
  }
}

describe("cancels that race the end of their jobs", () => {
  it("leave each of 200 jobs with one end, told once, and every key free", async () => {
    const { hooks, done, cancelled, wrong } = counting();
    const args = z.object({ key: z.string() });
    const started = new Set<string>();
    // Every other one is deaf: it returns although it was cancelled, and is done. They last about as long as a cancel takes to get here.
    const perform = async (_: unknown, ctx: JobContext): Promise<void> => {
      started.add(ctx.job.id);
      const deaf = started.size % 2 === 0;
      await wait(20 + ((started.size * 37) % 200), undefined, deaf ? {} : { signal: ctx.signal });
    };
    const plain = defineJob({ name: "plain", args, perform });
    const unique = defineJob({ name: "unique", args, queueKey: ({ key }) => key, perform });
    const serial = defineJob({ name: "serial", args, executionKey: ({ key }) => key, perform });
    const tenant = await Tenant.open([plain, unique, serial], { hooks: [hooks], queues: { default: 8 } });
    const { client, id: partition } = tenant;
    const specs = [plain, plain, plain, unique, serial];
    const ended = (): number => new Set([...done.keys(), ...cancelled.keys()]).size;
    await forEachWithin(16, keys(200).entries(), async ([i, key]) => {
      const { jobId } = await client.enqueue(specs[i % specs.length] as typeof plain, { key }, { partition });
      // Some are cancelled in their queue, some while they run or just when they end, some after that.
      if (i % 3 > 0) await until("it has begun", () => started.has(jobId), 60_000);
      if (i % 3 > 1) await until("it has ended", () => done.has(jobId), 60_000);
      await askAgain(() => client.cancel(partition, jobId));
    });
    await until("all have come to an end", () => ended() === 200, 60_000);
    expect([...done.keys()].filter((id) => cancelled.has(id))).toEqual([]);
    expect([...done.values(), ...cancelled.values()].filter((count) => count !== 1)).toEqual([]);
    expect(wrong).toEqual([]);
    expect(Math.min(done.size, cancelled.size)).toBeGreaterThan(0);
    await until("nothing is left", async () => (await tenant.ready()) === 0 && (await tenant.parked()).length === 0);
    for (const [i, key] of keys(200).entries()) {
      if (i % specs.length === 3) expect(await tenant.queueKeyState(key)).toBe("done");
      if (i % specs.length === 4) expect(await tenant.isFree(key)).toBe(true);
    }
  }, 120_000);
});

describe("a cancelled job that waits", () => {
  it("is gone at once with its keys, whatever it waits for, is told of once, and nobody else is touched", async () => {
    const { hooks, done, cancelled } = counting();
    const door = new Door();
    const args = z.object({ job: z.string() });
    const flaky = defineJob({
      name: "flaky",
      args,
      queueKey: ({ job }) => job,
      retry: { levels: [3600] },
      perform: () => {
        throw new Error("later");
      },
    });
    const serial = defineJob({ name: "serial", args, executionKey: () => "k", perform: (_, ctx) => door.pass(ctx.signal) });
    const tenant = await Tenant.open([flaky, serial], { hooks: [hooks] });
    const { client, id: partition } = tenant;
    const retrying = await client.enqueue(flaky, { job: "retrying" }, { partition });
    const delayed = await client.enqueue(serial, { job: "delayed" }, { partition, delay: 3600 });
    const holder = await client.enqueue(serial, { job: "holder" }, { partition });
    const waiter = await client.enqueue(serial, { job: "waiter" }, { partition });
    const last = await client.enqueue(serial, { job: "last" }, { partition });
    await until("all wait", async () => (await tenant.parked()).filter(({ reason }) => reason !== "outbox").length === 4);

    for (const { jobId } of [retrying, delayed, waiter]) await expect(client.cancel(partition, jobId)).resolves.toBe("cancelled");
    await until("all three are told of", () => cancelled.size === 3);
    await until("nothing of them is parked", async () => (await tenant.parked()).map(({ id }) => id).join() === last.jobId);
    expect(await tenant.queueKeyState("retrying")).toBe("done");
    expect((await tenant.pool.store.executionKeys.waiters({ partition, key: "k" }, 9)).map(({ job }) => job)).toEqual([last.jobId]);
    // A second cancel changes nothing.
    await client.cancel(partition, waiter.jobId);
    door.open();
    await until("the others are done", () => done.size === 2);
    expect([...done.keys()].sort()).toEqual([holder.jobId, last.jobId].sort());
    expect([...cancelled.values()]).toEqual([1, 1, 1]);
    await until("the key is free", () => tenant.isFree("k"));
  });

  it("is the one of its own partition, though another's has the same id", async () => {
    const { hooks, done, cancelled } = counting();
    const job = defineJob({ name: "job", args: z.object({}), perform: () => undefined });
    const tenant = await Tenant.open([job], { hooks: [hooks] });
    const { client, pool, id: acme } = tenant;
    const globex = pool.name("globex");
    await pool.start(globex, { default: 1 });
    for (const partition of [acme, globex]) {
      await pool.command(partition, { type: "pause", queue: "default" });
      await client.enqueue(job, {}, { partition, id: "same" });
    }
    await client.cancel(acme, "same");
    for (const partition of [acme, globex]) await pool.command(partition, { type: "resume", queue: "default" });
    await until("both have ended", () => done.size === 1 && cancelled.size === 1);
    expect(await pool.store.cancels.get(globex, "same")).toBeUndefined();
  });
});
