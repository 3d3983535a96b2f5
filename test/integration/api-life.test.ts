import { describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { systemClock } from "../../core/contract/clock.ts";
import { defineJob, type JobDefinition } from "../../core/job/define-job.ts";
import { registryOf } from "../../core/job/registry.ts";
import { composeApp } from "../../functions/app.ts";
import { recordedLog } from "../api-world.ts";
import { Pool, Probe, until } from "../fixture/pool.ts";

/** The HTTP API over the same table and RabbitMQ as a pool with one task. */
async function apiOver(jobs: readonly JobDefinition[], queues: Readonly<Record<string, number>>) {
  const pool = await Pool.open(inject("amqpUrl"), jobs);
  const p = pool.name("acme");
  await pool.addTask();
  await pool.start(p, queues);
  const registry = registryOf(Object.fromEntries(jobs.map((job) => [job.name, job])));
  const app = composeApp({ store: pool.store, clock: systemClock, log: recordedLog(), registry, withQueues: (work) => work(pool.broker.admin) });
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await app.request(`/partitions/${p}${path}`, body === undefined ? { method } : { method, body: JSON.stringify(body) });
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
    return { status: response.status, body: (await response.json()) as any };
  };
  const job = async (id: string) => (await call("GET", `/jobs/${id}`)).body;
  const reasons = async (id: string) => (await call("GET", `/jobs/${id}/explain`)).body.reasons;
  return { pool, p, call, job, reasons };
}

/** A probe under a name of its own, with keys. */
function keyedProbe(probe: Probe, options: object): JobDefinition {
  return defineJob({ name: "keyed", args: z.object({ key: z.string() }), ...options, perform: (args, ctx) => probe.job.perform(args, ctx) });
}

describe("a job's life through the API", () => {
  it("waits for its execution key, and tells who has it; cancelled, it lets the next one have it", async () => {
    const probe = new Probe();
    const { call, job, reasons } = await apiOver([keyedProbe(probe, { executionKey: () => "one" })], { default: 10 });
    const enqueue = async (key: string) => (await call("POST", "/jobs", { name: "keyed", args: { key } })).body.job_id as string;
    const first = await enqueue("first");
    await until("the first to run", () => probe.started.includes("first"));
    const second = await enqueue("second");
    await until("the second to wait", async () => (await job(second)).reason === "waiting");
    // A report of the moment in which it asked for its key says that it runs, and knows no token of it.
    await until("the first to be reported with its key", async () => Number.isInteger((await job(first)).token));
    const { state, task, started_at: since } = await job(first);
    expect(state).toBe("running");
    await until("no report says that the second runs", async () => (await job(second)).state === "parked");
    expect(await job(second)).toMatchObject({ state: "parked", waits_for: { key: "one", held_by: { job_id: first, task, since } } });
    expect((await reasons(second))[0]).toMatchObject({ code: "key_held", held_by: { job_id: first, task } });
    const third = await enqueue("third");
    await until("the third to wait", async () => (await job(third)).reason === "waiting");
    expect((await call("POST", `/jobs/${second}/cancel`)).body.state).toBe("cancelled");
    probe.release("first");
    await until("the third to run", () => probe.started.includes("third"));
    probe.release("third");
    await until("all to end", () => probe.finished.length === 2);
    expect(probe.started).toEqual(["first", "third"]);
  });

  it("runs once for an id of its caller's, and is known to be done", async () => {
    const probe = new Probe();
    const { call, job, reasons } = await apiOver([probe.job], { default: 10 });
    const enqueue = () => call("POST", "/jobs", { name: "probe", args: { key: "k" }, id: "mine" });
    const answers = await Promise.all([enqueue(), enqueue(), enqueue()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409]);
    await until("it to run", () => probe.started.length === 1);
    await until("it to be seen running", async () => (await job("mine")).state === "running");
    expect((await reasons("mine"))[0].code).toBe("running");
    probe.releaseAll();
    await until("it to be done", async () => (await job("mine")).state === "done");
    expect((await enqueue()).body).toMatchObject({ code: "duplicate_job", existing_job_id: "mine" });
    expect(probe.started).toEqual(["k"]);
  });

  it("is cancelled while it runs, and its queue key is free", async () => {
    const probe = new Probe();
    const { call, job } = await apiOver([keyedProbe(probe, { queueKey: ({ key }: { key: string }) => key })], { default: 10 });
    const enqueue = () => call("POST", "/jobs", { name: "keyed", args: { key: "k" } });
    const { job_id } = (await enqueue()).body;
    await until("it to run", () => probe.started.length === 1);
    expect((await enqueue()).body).toMatchObject({ code: "duplicate_job", existing_job_id: job_id });
    expect((await call("POST", `/jobs/${job_id}/cancel`)).body.state).toBe("cancelling");
    await until("it to be aborted", () => probe.aborted.length === 1);
    await until("its key to be free", async () => (await enqueue()).status === 202);
    await until("it to be known as cancelled", async () => (await job(job_id)).state === "cancelled");
    await until("the next to run", () => probe.started.length === 2);
    probe.releaseAll();
    await until("it to end", () => probe.finished.length === 1);
  });

  it("is buried, and retried from its first attempt with its history", async () => {
    let fails = true;
    const attempts: number[] = [];
    const flaky = defineJob({
      name: "flaky",
      args: z.object({}),
      retry: { levels: [0] },
      perform: (_, ctx) => {
        attempts.push(ctx.attempt);
        if (fails) throw new Error("not yet");
      },
    });
    const { call, job } = await apiOver([flaky], { default: 10 });
    const { job_id } = (await call("POST", "/jobs", { name: "flaky" })).body;
    await until("it to be buried", async () => (await job(job_id)).state === "buried");
    expect(await job(job_id)).toMatchObject({ attempt: 2, history: [{ attempt: 1 }, { attempt: 2 }] });
    expect((await call("POST", `/buried/${job_id}/retry`)).status).toBe(202);
    await until("it to be buried again", async () => (await job(job_id)).history?.length === 4);
    expect(await job(job_id)).toMatchObject({ state: "buried", attempt: 2, history: [{}, {}, { attempt: 1 }, { attempt: 2 }] });
    fails = false;
    expect((await call("POST", "/buried/retry", { name: "flaky" })).body).toMatchObject({ retried: 1, more: false });
    await until("it to run for the fifth time", () => attempts.length === 5);
    expect(attempts).toEqual([1, 2, 1, 2, 1]);
    await until("it to leave no trace", async () => (await job(job_id)).state === "unknown");
  });

  it("that waits in a paused queue says so, and is purged with its key", async () => {
    const probe = new Probe();
    const { call, reasons, pool, p } = await apiOver([keyedProbe(probe, { queueKey: ({ key }: { key: string }) => key })], { default: 10 });
    await pool.command(p, { type: "pause", queue: "default" });
    const enqueue = () => call("POST", "/jobs", { name: "keyed", args: { key: "k" } });
    const { job_id } = (await enqueue()).body;
    const said = async () => (await reasons(job_id)).map(({ code }: { code: string }) => code).join();
    await until("it to be queued, and said to be", async () => (await said()) === "queue_paused,not_seen");
    expect(await pool.broker.admin.depth(`${p}-default`)).toBe(1);
    await until("it to be purged", async () => (await call("POST", "/queues/default/purge")).body.removed === 1);
    expect((await enqueue()).status).toBe(202);
    await pool.command(p, { type: "resume", queue: "default" });
    await until("the second to run", () => probe.started.length === 1);
    probe.releaseAll();
    await until("it to end", () => probe.finished.length === 1);
  });
});
