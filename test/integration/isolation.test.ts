import { fileURLToPath } from "node:url";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { z } from "zod";
import { systemClock } from "../../core/contract/clock.ts";
import { cancelJob } from "../../core/job/cancel.ts";
import { defineJob, type JobDefinition } from "../../core/job/define-job.ts";
import { Pool, Probe, until } from "../fixture/pool.ts";
import * as threadJobs from "../fixture/thread-jobs.ts";

const jobsModule = fileURLToPath(new URL("../fixture/thread-jobs.ts", import.meta.url));
const inThreads = Object.values(threadJobs) as unknown as JobDefinition[];

async function running(jobs: readonly JobDefinition[], options: { readonly slots?: number; readonly max?: number } = {}) {
  const pool = await Pool.open(inject("amqpUrl"), jobs, { jobsModule });
  const acme = pool.name("acme");
  const worker = await pool.addTask({ slots: options.slots ?? 20 });
  await pool.start(acme, { default: options.max ?? 5 });
  const grave = (id: string) => pool.store.buried.get(acme, id);
  return { pool, acme, worker, grave };
}

describe("a job with isolation thread", () => {
  it("that spins beyond its limit is killed and has failed as timed out; its neighbours and its task go on", async () => {
    const probe = new Probe();
    const { pool, acme, grave } = await running([...inThreads, probe.job as unknown as JobDefinition], { max: 2 });
    await pool.enqueue(acme, "probe", { key: "beside" });
    await until("a neighbour runs", () => probe.running === 1);
    const id = await pool.enqueue(acme, "spin", {});
    await until("it is buried", async () => (await grave(id)) !== undefined, 60_000);
    expect(await grave(id)).toMatchObject({
      reason: "failed",
      error: {
        name: "TimedOut",
        message: expect.stringMatching(/^ran longer than its maxExecutionTime; after .* s its thread was killed: it had not settled /),
      },
    });
    expect(probe.aborted).toEqual([]);
    probe.release("beside");
    await until("the neighbour is done", () => probe.finished.length === 1);
    expect(pool.events.filter(({ type }) => type === "lease_lost")).toEqual([]);
    const next = await pool.enqueue(acme, "fail", { what: "own" });
    await until("a thread job after it has its place", async () => (await grave(next)) !== undefined);
    expect(await grave(next)).toMatchObject({
      error: { name: "TypeError", message: "answered 503", stack: expect.stringContaining("thread-jobs.ts") },
    });
  });

  it("that blocks its thread delays nothing else in its task, and ends when it is cancelled", async () => {
    const probe = new Probe();
    const { pool, acme } = await running([...inThreads, probe.job as unknown as JobDefinition]);
    const id = await pool.enqueue(acme, "block", {});
    const reported = async () => (await pool.store.tasks.reports()).some(({ running }) => running.some((job) => job.id === id));
    await until("it is seen to run", reported);
    const beats = new Set<unknown>();
    await until("the lease is renewed meanwhile, again and again", async () => {
      for (const { beat } of await pool.store.tasks.leases()) beats.add(beat);
      return beats.size > 3;
    });
    await pool.enqueue(acme, "probe", { key: "beside" });
    await until("a neighbour runs meanwhile", () => probe.running === 1);
    probe.release("beside");
    await until("the neighbour is done meanwhile", () => probe.finished.length === 1);
    expect(await reported()).toBe(true);
    await cancelJob({ ...pool.store, clock: systemClock }, acme, id);
    await until("it is cancelled", () => pool.events.some((event) => event.type === "job_cancelled" && event.job.id === id));
    await until("it is seen to have ended", async () => !(await reported()));
  });

  it("is decided on as if it ran inline: Discard, Snooze, death of its thread", async () => {
    const { pool, acme, grave } = await running(inThreads);
    const discarded = await pool.enqueue(acme, "fail", { what: "discard" });
    const snoozed = await pool.enqueue(acme, "fail", { what: "snooze" });
    const dead = await pool.enqueue(acme, "exit", {});
    await until("all are recorded", async () => {
      const parked = await pool.store.parked.get({ partition: acme, id: snoozed });
      return parked?.reason === "snoozed" && (await grave(discarded)) !== undefined && (await grave(dead)) !== undefined;
    });
    expect(await grave(discarded)).toMatchObject({ reason: "discarded", error: { name: "Discard", message: "no such customer" } });
    expect(await grave(dead)).toMatchObject({ reason: "failed", error: { name: "ThreadDied", message: /code: 3$/ } });
  });

  it("goes back to its queue when its task stops, however deaf it is", async () => {
    const { pool, acme, worker } = await running(inThreads);
    const id = await pool.enqueue(acme, "hoard", {});
    await until("it runs", async () => (await pool.store.tasks.reports()).some(({ running }) => running.length === 1));
    void worker.stop();
    await worker.stop();
    expect(pool.events.filter(({ type }) => type === "job_handed_back")).toMatchObject([{ job: { id }, why: "shutdown" }]);
    expect(await pool.broker.admin.depth(`${acme}-default`)).toBe(1);
  });
});

describe("a job with a limit that runs inline and is deaf to its abort", () => {
  it("is reported as stuck, keeps its place until it settles, and has failed as timed out", async () => {
    const settle = Promise.withResolvers<void>();
    onTestFinished(() => settle.resolve());
    const deaf = defineJob({ name: "deaf", args: z.object({}), maxExecutionTime: 0.1, perform: () => settle.promise });
    const probe = new Probe();
    const { pool, acme, grave } = await running([deaf, probe.job] as unknown as JobDefinition[], { max: 1 });
    const id = await pool.enqueue(acme, "deaf", {});
    await until("it is reported", () => pool.events.some((event) => event.type === "job_stuck" && event.job.id === id && event.why === "timed_out"));
    await pool.enqueue(acme, "probe", { key: "next" });
    await until("operators see it", async () => (await pool.store.tasks.reports()).some(({ running }) => running[0]?.stuckSince !== undefined));
    expect(probe.started).toEqual([]);
    expect(await grave(id)).toBeUndefined();
    settle.resolve();
    await until("it is buried", async () => (await grave(id)) !== undefined);
    expect(await grave(id)).toMatchObject({
      reason: "failed",
      error: { name: "TimedOut", message: expect.stringMatching(/settled after \d+\.\d s$/) },
    });
    await until("the next has its place", () => probe.running === 1);
    probe.releaseAll();
    await until("it is done", () => probe.finished.length === 1);
  });
});
