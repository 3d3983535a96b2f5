import { describe, expect, it } from "vitest";
import type { z } from "zod";
import { findJob } from "../../client/job-place.ts";
import { LIMITS } from "../../core/contract/limits.ts";
import { ownIdKey } from "../../core/job/own-id.ts";
import type { RunningJob } from "../../core/partition/task-store.ts";
import { JobDetailSchema, JobExplanationSchema } from "../../functions/schemas.ts";
import { apiWorld, buriedJob, freshPartition, lease, parkedJob, report } from "../api-world.ts";
import { ownerOf } from "../key-owner.ts";

const world = apiWorld();

async function started(): Promise<string> {
  const p = freshPartition();
  await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1, mail: 1 } });
  return p;
}

/** An answer, which the document must describe in full. */
async function documented(schema: z.ZodType, path: string) {
  const { body } = await world.call("GET", path);
  expect(schema.parse(body)).toEqual(body);
  return body;
}

const get = (p: string, id: string) => documented(JobDetailSchema, `/partitions/${p}/jobs/${id}`);
const explained = (p: string, id: string) => documented(JobExplanationSchema, `/partitions/${p}/jobs/${id}/explain`);

/** A task that runs these jobs, for as long as `work` lasts. */
async function withTask(running: readonly RunningJob[], work: (boot: string) => Promise<void>): Promise<void> {
  const task = lease();
  await world.store.tasks.register(task);
  await world.store.tasks.report(report(task, { running }));
  await work(task.boot);
  await world.store.tasks.forget(task.boot);
}

/** A parked job of a registered name, with keys as the API would make them. */
function keyed(p: string, name: string, args: object, more: object, change: Parameters<typeof parkedJob>[1]) {
  const job = parkedJob(p, { ...change, name });
  return { ...job, body: JSON.stringify({ ...(JSON.parse(job.body) as object), name, args, ...more }) };
}

describe("a parked job in full", () => {
  it("that failed before tells its errors", async () => {
    const p = await started();
    const history = [{ attempt: 1, started_at: 1_000, failed_at: 2_000, task: "t1", error: { name: "E", message: "no" } }];
    const job = keyed(p, "greet", { who: "you" }, { attempt: 2, history }, { reason: "retry", attempt: 2, due: 5_000 });
    await world.store.parked.park(job);
    expect(await get(p, job.id)).toMatchObject({
      state: "parked",
      attempt: 2,
      waits_for: null,
      history: [{ attempt: 1, failed_at: "1970-01-01T00:00:02.000Z", error: { message: "no", stack: null } }],
    });
  });

  it("that waits tells for which key, and who has it since when", async () => {
    const p = await started();
    const job = keyed(p, "exclusive", { key: "k" }, { execution_key: "k" }, { reason: "waiting", due: world.deps.clock.now() + 60_000 });
    await world.store.parked.park(job);
    const ref = { partition: p, key: "k" };
    expect(await get(p, job.id)).toMatchObject({ waits_for: { key: "k", held_by: null } });
    await world.store.executionKeys.acquire(ref, { job: "x", enqueuedAt: 1, run: "t/1", task: "t" }, world.deps.clock.now());
    expect(await get(p, job.id)).toMatchObject({ waits_for: { key: "k", held_by: { job_id: "x", task: "t", since: null } } });
    await withTask([{ id: "x", name: "exclusive", partition: p, queue: "default", attempt: 1, startedAt: 3_000 }], async () => {
      const { reasons, state } = await explained(p, job.id);
      expect([state, reasons]).toMatchObject(["parked", [{ code: "key_held", held_by: { job_id: "x", since: "1970-01-01T00:00:03.000Z" } }, {}]]);
    });
  });

  it("that waits for a run of its own tells where that is", async () => {
    const p = await started();
    const job = keyed(p, "invoice", { invoice: "1" }, { queue_key: "invoice:1" }, { reason: "waiting", due: world.deps.clock.now() + 2_000 });
    await world.store.parked.park(job);
    await world.store.queueKeys.begin({ partition: p, key: "invoice:1" }, { job: job.id, enqueuedAt: job.enqueuedAt, run: "t9/1", task: "t9" }, 1, 1);
    expect(await get(p, job.id)).toMatchObject({ waits_for: { key: null, held_by: { job_id: job.id, task: "t9" } } });
  });
});

describe("a report that is older than what became of its run", () => {
  it.each(["parked", "buried"] as const)("is not believed: the job is %s, to the API, to a cancel and to the client", async (state) => {
    const p = await started();
    const startedAt = world.deps.clock.now() - 2_000;
    const stage = { enqueuedAt: 1_000, attempt: 1 };
    const run: RunningJob = { id: "r", name: "greet", partition: p, queue: "default", attempt: 1, startedAt, run: "t/1", stage };
    await withTask([run], async () => {
      expect((await get(p, "r")).state).toBe("running");
      if (state === "parked") await world.store.parked.park(parkedJob(p, { id: "r", reason: "snoozed", due: startedAt + 60_000 }));
      // The clock of whoever wrote this is behind that of the task.
      else await world.store.buried.bury(buriedJob(p, { id: "r", buriedAt: startedAt - 1_000 }));
      expect((await get(p, "r")).state).toBe(state);
      expect((await explained(p, "r")).state).toBe(state);
      expect(await findJob({ ...world.store, clock: world.deps.clock }, p, "r")).toMatchObject({ state, attempt: 1 });
      const cancelled = await world.call("POST", `/partitions/${p}/jobs/r/cancel`);
      expect(cancelled.body).toMatchObject(state === "parked" ? { state: "cancelled" } : { code: "job_buried" });
    });
  });
});

describe("a running job in full", () => {
  it("tells how far it is, its token, and since when it is stuck", async () => {
    const p = await started();
    const job = { id: "r", name: "greet", partition: p, queue: "default", attempt: 2, startedAt: 1_000 };
    await withTask([{ ...job, progress: 0.5, token: 1_900_000_000_001, stuckSince: 2_000 }], async (boot) => {
      const running = {
        state: "running",
        job_id: "r",
        name: "greet",
        queue: "default",
        attempt: 2,
        task: boot,
        started_at: "1970-01-01T00:00:01.000Z",
        progress: 0.5,
        stuck_since: "1970-01-01T00:00:02.000Z",
        token: 1_900_000_000_001,
      };
      expect(await get(p, "r")).toEqual(running);
      expect((await world.call("GET", `/partitions/${p}/jobs?state=running`)).body.jobs).toEqual([running]);
      expect((await explained(p, "r")).reasons.map(({ code }: { code: string }) => code)).toEqual(["stuck", "running"]);
      expect((await world.call("GET", "/tasks")).body.tasks[0].running[0]).toMatchObject({ token: 1_900_000_000_001 });
    });
  });

  it("that is long is told by its item, before any report and after", async () => {
    const p = await started();
    await withTask([], async (boot) => {
      const job = parkedJob(p, { reason: "long", run: `${boot}/7`, due: world.deps.clock.now() + 60_000 });
      await world.store.parked.park(job);
      expect(await get(p, job.id)).toMatchObject({ state: "running", task: boot, name: "greet", attempt: 1, started_at: null, progress: null });
      await world.store.parked.handBack(job, `${boot}/7`, world.deps.clock.now() + 1_000);
      expect(await get(p, job.id)).toMatchObject({ state: "parked", reason: "long" });
    });
  });
});

describe("a job with an id of its caller's", () => {
  const mine = { name: "nothing", id: "mine" };

  it("is known wherever it is", async () => {
    const p = await started();
    const ref = { partition: p, key: ownIdKey("mine") };
    expect((await get(p, "mine")).state).toBe("unknown");
    const held = {
      ...world.store,
      parked: { ...world.store.parked, park: () => Promise.reject(Object.assign(new Error("x"), { code: "store_unavailable" })) },
    };
    // Its enqueuer did not get far: it waits inside its key.
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine, { store: held })).status).toBe(202);
    expect(await get(p, "mine")).toMatchObject({ state: "parked", reason: "outbox", name: "nothing", args: {} });
    const life = await ownerOf(world.store.queueKeys, ref);
    await world.store.queueKeys.published(ref, life);
    expect(await get(p, "mine")).toEqual({ state: "queued", job_id: "mine" });
    expect((await explained(p, "mine")).reasons).toMatchObject([{ code: "no_task", queue: "default" }, { code: "not_seen" }]);
    await world.call("POST", `/partitions/${p}/reconfigure`, { queues: { mail: 1 } });
    const [unlisted] = (await explained(p, "mine")).reasons;
    expect(unlisted).toMatchObject({ code: "queue_not_listed", queue: "default", detail: expect.stringContaining("it lists mail") });
    await world.store.queueKeys.begin(ref, { ...life, run: "t/1", task: "t", queue: "default" }, 1, world.deps.clock.now());
    expect(await get(p, "mine")).toMatchObject({ state: "running", task: "t", name: null, queue: "default", started_at: null });
    const until = world.deps.clock.now() + LIMITS.doneKeyMs;
    await world.store.queueKeys.finish(ref, "t/1", until);
    expect(await get(p, "mine")).toEqual({ state: "done", job_id: "mine", remembered_until: new Date(until).toISOString() });
    expect(await explained(p, "mine")).toMatchObject({ state: "done", reasons: [{ code: "done" }] });
  });

  it("that was cancelled says so, until a new life of the id is done", async () => {
    const p = await started();
    const ref = { partition: p, key: ownIdKey("mine") };
    const now = world.deps.clock.now();
    await world.call("POST", `/partitions/${p}/jobs`, { ...mine, delay: 60 });
    await world.call("POST", `/partitions/${p}/jobs/mine/cancel`);
    const parked = await world.store.parked.get({ partition: p, id: "mine" });
    await world.store.cancels.hit(p, { job: "mine", enqueuedAt: parked!.enqueuedAt }, "pump");
    await world.store.parked.remove(parked!, parked!.rev);
    expect((await get(p, "mine")).state).toBe("cancelled");
    // An hour and more later: accepted anew, and done.
    const later = now + 2 * LIMITS.doneKeyMs;
    await world.store.queueKeys.begin(ref, { job: "mine", enqueuedAt: later, run: "t/1", task: "t" }, 1, later);
    await world.store.queueKeys.finish(ref, "t/1", later + LIMITS.doneKeyMs);
    expect((await get(p, "mine")).state).toBe("done");
  });
});

describe("what people may see of the args", () => {
  it("is up to the definition, wherever they are shown", async () => {
    const p = await started();
    const now = world.deps.clock.now();
    const secret = keyed(p, "secret", { word: "x" }, { execution_key: "x" }, { reason: "waiting", due: now + 60_000 });
    const card = keyed(p, "card", { number: "1234567890" }, {}, { due: now + 60_000, reason: "delayed" });
    const foreign = keyed(p, "of-another-build", { word: "x" }, {}, { due: now + 60_000, reason: "unknown_name" });
    for (const job of [secret, card, foreign]) await world.store.parked.park(job);
    expect(await get(p, secret.id)).toMatchObject({ args: "redacted", waits_for: { key: null } });
    expect(await get(p, card.id)).toMatchObject({ args: { number: "…7890" } });
    expect(await get(p, foreign.id)).toMatchObject({ args: "redacted" });
    expect((await explained(p, secret.id)).reasons[0].detail).toBe("its key is free, or kept for an older job for a moment");

    await world.store.buried.bury({ ...buriedJob(p, { id: "b1", name: "card" }), body: card.body });
    expect(await get(p, "b1")).toMatchObject({ args: { number: "…7890" } });
    expect((await world.call("GET", `/partitions/${p}/buried/b1`)).body.args).toEqual({ number: "…7890" });

    world.queues.bodies.set(`${p}-default`, [Buffer.from(secret.body), Buffer.from(card.body)]);
    const peeked = (await world.call("GET", `/partitions/${p}/queues/default/jobs`)).body.jobs;
    expect(peeked.map(({ args }: { args: unknown }) => args)).toEqual(["redacted", { number: "…7890" }]);
  });

  it("is nothing where `redact` fails", async () => {
    const p = await started();
    const card = keyed(p, "card", { number: 5 }, {}, {});
    await world.store.parked.park(card);
    expect(await get(p, card.id)).toMatchObject({ state: "parked", args: "redacted" });
  });
});

describe("odd items", () => {
  it("never fail an answer", async () => {
    const p = await started();
    const odd = keyed(p, "greet", {}, { enqueued_at: Number.MAX_SAFE_INTEGER, history: [5, null, { error: 1 }, { attempt: "x", error: {} }] }, {});
    await world.store.parked.park({ ...odd, due: Number.MAX_SAFE_INTEGER });
    expect(await get(p, odd.id)).toMatchObject({ state: "parked", history: [], due: "9999-12-31T23:59:59.999Z" });
    expect((await explained(p, odd.id)).state).toBe("parked");
    const noJob = parkedJob(p, { reason: "waiting", body: "no job" });
    await world.store.parked.park(noJob);
    expect(await get(p, noJob.id)).toMatchObject({ state: "parked", args: null, waits_for: null });
    expect((await world.call("GET", `/partitions/${p}/jobs?state=parked`)).status).toBe(200);
    world.queues.bodies.set(`${p}-default`, [Buffer.from(odd.body), Buffer.from([0xff, 0x00])]);
    expect((await world.call("GET", `/partitions/${p}/queues/default/jobs`)).body.jobs).toMatchObject([
      { enqueued_at: "9999-12-31T23:59:59.999Z" },
      { job_id: null },
    ]);
  });
});
