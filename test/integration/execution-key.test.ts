import { describe, expect, inject, it, onTestFinished } from "vitest";
import { z } from "zod";
import type { JobContext } from "../../core/job/context.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { Tenant, type TenantOptions } from "../fixture/application.ts";
import { Door, Ledger } from "../fixture/ledger.ts";
import { keys, MORTAL, until } from "../fixture/pool.ts";
import { TcpProxy } from "../proxy.ts";

type Work = (job: string, ctx: JobContext) => unknown;

/** A tenant with jobs of one execution key, of both kinds of key, and of none. */
async function open(work: Work, options: TenantOptions = {}) {
  const ledger = new Ledger();
  const args = z.object({ key: z.string(), job: z.string() });
  const perform = ({ key, job }: z.output<typeof args>, ctx: JobContext) => ledger.run(key, job, () => work(job, ctx));
  const serial = defineJob({ name: "serial", args, executionKey: ({ key }) => key, perform });
  const both = defineJob({ name: "both", args, executionKey: ({ key }) => key, queueKey: ({ job }) => job, perform });
  const plain = defineJob({ name: "plain", args, perform });
  const tenant = await Tenant.open([serial, both, plain], options);
  /** One after the other, so that their order is the line's. */
  const enqueue = async (spec: typeof serial, key: string, jobs: readonly string[]) => {
    for (const job of jobs) await tenant.client.enqueue(spec, { key, job }, { partition: tenant.id });
  };
  /** The first has the key, and the others wait for it: a key that is free goes to whichever comes to it first. */
  const enqueueBehindFirst = async (spec: typeof serial, key: string, [first = "", ...others]: readonly string[]) => {
    await enqueue(spec, key, [first]);
    await until("the first runs", () => ledger.running === 1);
    await enqueue(spec, key, others);
    await until("the others wait", async () => (await tenant.waiting()) === others.length);
  };
  return { ledger, tenant, serial, both, plain, enqueue, enqueueBehindFirst };
}

async function proxied(): Promise<TcpProxy> {
  const proxy = await TcpProxy.listen(inject("amqpUrl"));
  onTestFinished(() => proxy.close());
  return proxy;
}

describe("jobs of one execution key", () => {
  it("side by side in 100 pairs: none is stranded, none runs beside its twin", async () => {
    const { tenant, ledger, serial } = await open(() => undefined, { tasks: 2, queues: { default: 20 } });
    const jobs = keys(100).flatMap((key) => [`${key}a`, `${key}b`].map((job) => ({ args: { key, job } })));
    await tenant.client.enqueueMany(serial, jobs, { partition: tenant.id });
    // At least once: on a machine that stalls, one or the other may run again.
    await until("all jobs are done", () => new Set(ledger.done).size === jobs.length, 60_000);
    expect(ledger.overlaps).toEqual([]);
    await until("nothing waits", async () => (await tenant.parked()).length === 0);
  });

  it("wait in any number, and run one at a time, in the order of their enqueueing", async () => {
    const door = new Door();
    const { tenant, ledger, serial, enqueueBehindFirst } = await open((_, { signal }) => door.pass(signal), { tasks: 3, queues: { default: 9 } });
    const jobs = keys(60);
    await enqueueBehindFirst(serial, "k", jobs);
    expect(await tenant.ready()).toBe(0);
    door.open();
    await until("all jobs are done", () => ledger.done.length === jobs.length, 60_000);
    expect(ledger.started).toEqual(jobs);
    expect(ledger.overlaps).toEqual([]);
    await until("the key is free", () => tenant.isFree("k"));
  });

  it("keep their order and lose nothing when the holder's connection is cut", async () => {
    const proxy = await proxied();
    const door = new Door();
    const { tenant, ledger, serial, enqueueBehindFirst } = await open((_, { signal }) => door.pass(signal), { taskAmqpUrl: proxy.url });
    const jobs = keys(4);
    await enqueueBehindFirst(serial, "k", jobs);
    proxy.cut();
    await until("the holder was aborted, and runs again", () => ledger.started.length === 2 && ledger.running === 1);
    expect(ledger.started).toEqual(["k0", "k0"]);
    door.open();
    await until("all jobs are done", () => ledger.done.length === 4);
    expect(ledger.done).toEqual(jobs);
    expect(ledger.overlaps).toEqual([]);
    await until("the key is free", () => tenant.isFree("k"));
  });

  it("outlive a holder that runs for longer than any message may stay unacked", async () => {
    const timings = { ...MORTAL, long: 1_500, longBeat: 300 };
    const proxy = await proxied();
    const door = new Door();
    const { tenant, ledger, serial, both, enqueue } = await open((_, { signal }) => door.pass(signal), { taskAmqpUrl: proxy.url, timings });
    await enqueue(both, "k", ["holder"]);
    await until("it runs", () => ledger.running === 1);
    await enqueue(serial, "k", ["next", "last"]);
    const reasons = async () => (await tenant.parked()).map(({ reason }) => reason);
    await until("the holder has given up its message", async () => (await reasons()).join() === "long,waiting,waiting");
    const due = async () => (await tenant.parked())[0]?.due ?? 0;
    const parkedUntil = await due();
    await until("it is kept from falling due", async () => (await due()) > parkedUntil);
    // It needs RabbitMQ no more: what takes its connection away does not touch it.
    proxy.cut();
    await until("it is kept from falling due, for longer than it was given", async () => (await due()) > parkedUntil + timings.longLease);
    await expect(enqueue(both, "k", ["holder"])).rejects.toMatchObject({ code: "duplicate_job" });
    door.open();
    await until("all jobs are done", () => ledger.done.length === 3);
    expect(ledger.started).toEqual(["holder", "next", "last"]);
    await until("nothing is parked", async () => (await tenant.parked()).length === 0);
    await until("the key is free", () => tenant.isFree("k"));
    await until("the holder's queue key is done", async () => (await tenant.queueKeyState("holder")) === "done");
  });
});

describe("jobs with both keys whose execution key is busy", () => {
  it("wait like any other, and nobody else's job is touched", async () => {
    const door = new Door();
    const perform: Work = (job, { signal }) => (job.startsWith("i") ? undefined : door.pass(signal));
    const { tenant, ledger, both, plain, enqueue, enqueueBehindFirst } = await open(perform, { queues: { default: 5 } });
    const jobs = keys(6);
    await enqueueBehindFirst(both, "k", jobs);
    // What waits is enqueued still: its queue key is taken, but no place among the running.
    await expect(enqueue(both, "k", ["k3"])).rejects.toMatchObject({ code: "duplicate_job" });
    for (const job of keys(20, "i")) await enqueue(plain, job, [job]);
    await until("all innocent jobs are done", () => ledger.done.length === 20);
    door.open();
    await until("all jobs are done", () => ledger.done.length === 26);
    expect(ledger.started.filter((job) => job.startsWith("k"))).toEqual(jobs);
    expect(ledger.overlaps).toEqual([]);
    await until("the key is free", () => tenant.isFree("k"));
    for (const key of jobs) expect(await tenant.queueKeyState(key)).toBe("done");
  });
});
