import { describe, expect, it } from "vitest";
import { z } from "zod";
import { systemClock } from "../../core/contract/clock.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { reviveJob } from "../../core/job/revive.ts";
import { Tenant } from "../fixture/application.ts";
import { keys, until } from "../fixture/pool.ts";

describe("a retried job", () => {
  it("stays in its queue, and keeps the time of its enqueueing", async () => {
    const seen: { queue: string; enqueuedAt: number; attempt: number }[] = [];
    const mail = defineJob({
      name: "mail",
      args: z.object({ to: z.string() }),
      queue: ({ to }) => to,
      retry: { levels: [0.1, 0.1] },
      perform: (_, { job, attempt }) => {
        seen.push({ queue: job.queue, enqueuedAt: job.enqueuedAt, attempt });
        if (attempt < 3) throw new Error("again");
      },
    });
    const tenant = await Tenant.open([mail], { queues: { default: 1, special: 1 } });
    await tenant.client.enqueue(mail, { to: "special" }, { partition: tenant.id });
    await until("it is done", () => seen.length === 3);
    const enqueuedAt = seen[0]?.enqueuedAt;
    expect(seen).toEqual([1, 2, 3].map((attempt) => ({ queue: "special", enqueuedAt, attempt })));
  });
});

describe("buried jobs", () => {
  it("are all kept, 101 of 101, each with its error; and each can run again from its first attempt, with retries of its own", async () => {
    let broken = true;
    const attempts = new Map<string, number[]>();
    const boom = defineJob({
      name: "boom",
      args: z.object({ key: z.string() }),
      queueKey: ({ key }) => key,
      retry: { levels: [0.05] },
      perform: ({ key }, { attempt }) => {
        attempts.set(key, [...(attempts.get(key) ?? []), attempt]);
        if (broken || attempt === 1) throw new Error(`no ${key}`);
      },
    });
    const told = { buried: 0, done: 0 };
    const hooks = {
      onBuried: () => {
        told.buried += 1;
      },
      afterRun: () => {
        told.done += 1;
      },
    };
    const tenant = await Tenant.open([boom], { queues: { default: 20 }, hooks: [hooks] });
    const { client, id: partition, pool } = tenant;
    const jobs = keys(101);
    await client.enqueueMany(
      boom,
      jobs.map((key) => ({ args: { key } })),
      { partition, window: 20 },
    );
    await until("all are buried", () => told.buried === 101, 60_000);
    const graves = await tenant.buried();
    expect(graves.map(({ error }) => error.message).sort()).toEqual(jobs.map((key) => `no ${key}`).sort());
    expect(graves.every(({ reason, history }) => reason === "failed" && history.length === 2)).toBe(true);

    broken = false;
    attempts.clear();
    for (const grave of graves) expect(await reviveJob({ ...pool.store, clock: systemClock }, grave)).toEqual({ kind: "revived" });
    await until("all are done", () => told.done === 101, 60_000);
    expect([...attempts.values()].every((list) => list.join() === "1,2")).toBe(true);
    expect(await tenant.buried()).toEqual([]);
  });
});
