import { describe, expect, it } from "vitest";
import { systemClock } from "../../core/contract/clock.ts";
import { decodeEnvelope } from "../../core/job/envelope.ts";
import { composeApp } from "../../functions/app.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { apiWorld, freshPartition, lease, parkedJob, report } from "../api-world.ts";

const world = apiWorld();

async function started(queues: Record<string, number> = { default: 1, mail: 1 }): Promise<string> {
  const p = freshPartition();
  await world.call("POST", `/partitions/${p}/start`, { queues });
  return p;
}

const greet = (change: object = {}) => ({ name: "greet", args: { who: "you" }, ...change });

describe("enqueue", () => {
  it("parks the job, due at once, in the queue its definition names", async () => {
    const p = await started();
    const { status, body } = await world.call("POST", `/partitions/${p}/jobs`, { name: "mail", args: { to: "me", extra: 1 } });
    expect([status, body]).toEqual([202, { job_id: expect.stringMatching(/^[0-9a-f-]{36}$/) }]);
    const parked = await world.store.parked.get({ partition: p, id: body.job_id });
    expect(parked).toMatchObject({ name: "mail", queue: "mail", attempt: 1, reason: "outbox" });
    expect(parked?.due).toBeLessThanOrEqual(systemClock.now());
    // As the caller wrote them, unknown keys too: the worker's schema has the last word.
    expect(decodeEnvelope(parked?.body ?? "")).toMatchObject({ v: 1, id: body.job_id, partition: p, queue: "mail", args: { to: "me", extra: 1 } });
  });

  it("takes a delay, a time, a time that has passed, and no args", async () => {
    const p = await started();
    const dueOf = async (job: object) => {
      const { body } = await world.call("POST", `/partitions/${p}/jobs`, job);
      const parked = await world.store.parked.get({ partition: p, id: body.job_id });
      return [parked?.reason, Math.round(((parked?.due ?? 0) - systemClock.now()) / 1000)];
    };
    expect(await dueOf(greet({ delay: 60 }))).toEqual(["delayed", 60]);
    expect(await dueOf(greet({ run_at: new Date(systemClock.now() + 90_000).toISOString() }))).toEqual(["delayed", 90]);
    expect(await dueOf(greet({ run_at: "2000-01-01T00:00:00+02:00" }))).toEqual(["outbox", expect.closeTo(0)]);
    expect(await dueOf({ name: "nothing" })).toEqual(["outbox", expect.closeTo(0)]);
  });

  it("hands on a trace context, and drops one that is none", async () => {
    const p = await started();
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    for (const [given, kept] of [
      [traceparent, traceparent],
      ["nonsense", undefined],
    ] as const) {
      const response = await composeApp(world.deps).request(`/partitions/${p}/jobs`, {
        method: "POST",
        body: JSON.stringify(greet()),
        headers: { traceparent: given },
      });
      const { job_id } = (await response.json()) as { job_id: string };
      const parked = await world.store.parked.get({ partition: p, id: job_id });
      expect(decodeEnvelope(parked?.body ?? "").traceparent).toBe(kept);
    }
  });

  it("is taken in any status of a known partition but deleting", async () => {
    const p = await started();
    await world.call("POST", `/partitions/${p}/stop`);
    expect((await world.call("POST", `/partitions/${p}/jobs`, greet())).status).toBe(202);
    expect((await world.call("POST", `/partitions/${freshPartition()}/jobs`, greet())).body).toMatchObject({ code: "unknown_partition" });
  });

  it("keeps odd strings as they are", async () => {
    const p = await started();
    const who = "null \u0000, lone \ud800, emoji 💩, bidi \u202e";
    const { body } = await world.call("POST", `/partitions/${p}/jobs`, greet({ args: { who } }));
    expect((await world.call("GET", `/partitions/${p}/jobs/${body.job_id}`)).body.args.who).toBe(who);
  });
});

describe("enqueue a list", () => {
  it("answers item by item, in order", async () => {
    const p = await started({ default: 1 });
    const jobs = [
      greet(),
      greet({ args: {} }),
      { name: "mail", args: { to: "x" } },
      5,
      greet({ delay: 1 }),
      greet({ args: { who: "x".repeat(300_000) } }),
    ];
    const { status, body } = await world.call("POST", `/partitions/${p}/jobs`, { jobs });
    expect(status).toBe(202);
    expect(body.jobs).toEqual([
      { job_id: expect.any(String) },
      { error: expect.objectContaining({ status: 400, code: "invalid_request", field: "jobs.1.args.who" }) },
      { error: expect.objectContaining({ status: 404, code: "unknown_queue" }) },
      { error: expect.objectContaining({ status: 400, field: "jobs.3" }) },
      { job_id: expect.any(String) },
      { error: expect.objectContaining({ status: 400, field: "jobs.5.args" }) },
    ]);
    const parked = (await world.call("GET", `/partitions/${p}/jobs?state=parked`)).body.jobs;
    expect(parked.map((job: { job_id: string }) => job.job_id).sort()).toEqual([body.jobs[0].job_id, body.jobs[4].job_id].sort());
  });

  it("takes 100 of 30 KB", async () => {
    const p = await started();
    const { status, body } = await world.call("POST", `/partitions/${p}/jobs`, {
      jobs: Array(100).fill(greet({ args: { who: "x".repeat(30_000) } })),
    });
    expect(status).toBe(202);
    expect(new Set(body.jobs.map((job: { job_id: string }) => job.job_id)).size).toBe(100);
  });

  it("is a problem when nothing was accepted", async () => {
    const p = await started();
    const { status, body, headers } = await world.call("POST", `/partitions/${p}/jobs`, { jobs: [greet({ name: "x" }), {}] });
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect([status, body]).toMatchObject([
      400,
      { code: "nothing_accepted", jobs: [{ error: { code: "unknown_job" } }, { error: { field: "jobs.1.name" } }] },
    ]);
  });

  it("tells which items the store did not take", async () => {
    const p = await started();
    let calls = 0;
    const park = (job: Parameters<typeof world.store.parked.park>[0]) =>
      ++calls % 2 === 0 ? Promise.reject(new StoreUnavailable("DynamoDB gives no answer")) : world.store.parked.park(job);
    const store = { ...world.store, parked: { ...world.store.parked, park } };
    const some = await world.call("POST", `/partitions/${p}/jobs`, { jobs: [greet(), greet()] }, { store });
    expect([some.status, some.body.jobs]).toMatchObject([202, [{ job_id: expect.any(String) }, { error: { code: "store_unavailable" } }]]);
    calls = 1;
    const none = await world.call("POST", `/partitions/${p}/jobs`, { jobs: [greet()] }, { store });
    expect([none.status, none.body.code, none.headers.get("retry-after")]).toEqual([503, "store_unavailable", "2"]);
  });
});

describe("where a job is", () => {
  it("finds running, parked and buried jobs, and says so when it finds none", async () => {
    const p = await started();
    const waits = parkedJob(p, { reason: "retry", attempt: 3, due: 5_000, since: 4_000 });
    await world.store.parked.park(waits);
    const error = { name: "Error", message: "no" };
    const failed = { attempt: 1, started_at: 1_000, failed_at: 2_000, task: "t1", error };
    const dead = {
      partition: p,
      id: "b1",
      name: "greet",
      queue: "default",
      attempt: 1,
      reason: "failed",
      buriedAt: systemClock.now(),
      error,
      history: [failed],
      body: "{",
    } as const;
    await world.store.buried.bury(dead);
    const task = lease();
    await world.store.tasks.register(task);
    const running = { name: "greet", partition: p, queue: "default", attempt: 1, startedAt: 1_000 };
    // The one that waits since 4 s after the epoch is reported as running now: its item is about to be deleted.
    await world.store.tasks.report(
      report(task, {
        running: [
          { ...running, id: "r1" },
          { ...running, id: "other", partition: "other" },
        ],
      }),
    );

    const get = async (id: string) => (await world.call("GET", `/partitions/${p}/jobs/${id}`)).body;
    expect(await get("r1")).toMatchObject({ state: "running", task: task.boot, progress: null });
    expect(await get(waits.id)).toMatchObject({
      state: "parked",
      reason: "retry",
      attempt: 3,
      due: "1970-01-01T00:00:05.000Z",
      args: { who: "you" },
    });
    expect(await get("b1")).toMatchObject({
      state: "buried",
      reason: "failed",
      args: null,
      error: { message: "no", stack: null },
      history: [{ task: "t1" }],
    });
    expect(await get("gone")).toEqual({ state: "unknown", job_id: "gone" });

    const list = async (state: string) => (await world.call("GET", `/partitions/${p}/jobs?state=${state}`)).body;
    expect(await list("running")).toMatchObject({ jobs: [{ job_id: "r1" }], cursor: null });
    expect(await list("parked")).toMatchObject({ jobs: [{ job_id: waits.id }], cursor: null });
    expect(await list("buried")).toMatchObject({ jobs: [{ job_id: "b1", error: { message: "no" } }], cursor: null });
    await world.store.tasks.forget(task.boot);
  });

  it("a parked item is newer than the report that says the job runs", async () => {
    const p = await started();
    const job = parkedJob(p, { reason: "retry", attempt: 2 });
    const task = lease();
    await world.store.tasks.register(task);
    const running = [{ id: job.id, name: "greet", partition: p, queue: "default", attempt: 1, startedAt: 1_000 }];
    await world.store.tasks.report(report(task, { running, at: systemClock.now() - 2_000 }));
    const state = async () => (await world.call("GET", `/partitions/${p}/jobs/${job.id}`)).body.state;
    expect(await state()).toBe("running");
    await world.store.parked.park(job);
    expect(await state()).toBe("parked");
    await world.store.tasks.forget(task.boot);
  });

  it("pages through parked jobs", async () => {
    const p = await started();
    const jobs = Array.from({ length: 5 }, () => parkedJob(p));
    for (const job of jobs) await world.store.parked.park(job);
    const first = (await world.call("GET", `/partitions/${p}/jobs?state=parked&limit=3`)).body;
    const second = (await world.call("GET", `/partitions/${p}/jobs?state=parked&limit=3&cursor=${encodeURIComponent(first.cursor)}`)).body;
    const ids = [...first.jobs, ...second.jobs].map(({ job_id }: { job_id: string }) => job_id);
    expect(ids).toEqual(jobs.map(({ id }) => id).sort());
    expect(second.cursor).toBeNull();
  });

  it("pages through running jobs, each once, though two tasks' reports have it", async () => {
    const p = await started();
    const run = (id: string, startedAt: number) => ({ id, name: "greet", partition: p, queue: "default", attempt: 1, startedAt });
    const [before, now] = [lease(), lease()];
    await world.store.tasks.register(before);
    await world.store.tasks.register(now);
    await world.store.tasks.report(report(before, { running: [run("c", 1_000), run("a", 1_000)] }));
    await world.store.tasks.report(report(now, { running: [run("c", 2_000), run("d", 1_000), run("b", 1_000)] }));
    const page = async (query: string) => (await world.call("GET", `/partitions/${p}/jobs?state=running&${query}`)).body;
    const first = await page("limit=3");
    expect(first.jobs).toMatchObject([{ job_id: "a" }, { job_id: "b" }, { job_id: "c", task: now.boot }]);
    expect(await page(`limit=3&cursor=${first.cursor}`)).toMatchObject({ jobs: [{ job_id: "d" }], cursor: null });
    for (const { boot } of [before, now]) await world.store.tasks.forget(boot);
    expect((await world.call("GET", `/partitions/${p}/jobs?state=running&cursor=x`)).body).toMatchObject({ status: 400, field: "cursor" });
  });
});
