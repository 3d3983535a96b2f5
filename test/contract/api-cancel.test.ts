import { describe, expect, it } from "vitest";
import { TooManyCancels } from "../../core/job/cancel.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { apiWorld, buriedJob, freshPartition, lease, parkedJob, report } from "../api-world.ts";
import { ownerOf } from "../key-owner.ts";

const world = apiWorld();

async function started(): Promise<string> {
  const p = freshPartition();
  await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1 } });
  return p;
}

const cancel = (p: string, id: string) => world.call("POST", `/partitions/${p}/jobs/${id}/cancel`);
const invoice = { name: "invoice", args: { invoice: "1", customer: "c" } };
const KEY = "invoice:1";

describe("cancel", () => {
  it("a parked job will not run, and its queue key is free at once", async () => {
    const p = await started();
    const { job_id } = (await world.call("POST", `/partitions/${p}/jobs`, { ...invoice, delay: 600 })).body;
    const cancelled = await cancel(p, job_id);
    expect([cancelled.status, cancelled.body]).toEqual([202, { job_id, state: "cancelled" }]);
    expect(await world.store.parked.get({ partition: p, id: job_id })).toMatchObject({ reason: "cancelled" });
    expect(await world.store.queueKeys.get({ partition: p, key: KEY })).toMatchObject({ state: "done" });
    expect((await world.call("GET", `/partitions/${p}/jobs/${job_id}`)).body).toEqual({ state: "cancelled", job_id });
    expect((await world.call("POST", `/partitions/${p}/jobs`, invoice)).status).toBe(202);
    // Asked again because the answer was lost.
    expect((await cancel(p, job_id)).body).toEqual({ job_id, state: "cancelled" });
  });

  it("a job in line for a key leaves it, and what was kept for it goes to the next", async () => {
    const p = await started();
    const now = world.deps.clock.now();
    const ref = { partition: p, key: "k" };
    const { job_id } = (await world.call("POST", `/partitions/${p}/jobs`, { name: "exclusive", args: { key: "k" } })).body;
    const parked = await world.store.parked.get({ partition: p, id: job_id });
    if (parked === undefined) throw new Error("not parked");
    const enqueuedAt = (JSON.parse(parked.body) as { enqueued_at: number }).enqueued_at;
    await world.store.parked.park({ ...parked, reason: "waiting", due: now + 60_000 });
    const next = parkedJob(p, { reason: "waiting", due: now + 60_000 });
    await world.store.parked.park(next);
    await world.store.executionKeys.acquire(ref, { job: "x", enqueuedAt: 1, run: "t/1", task: "t" }, now);
    await world.store.executionKeys.enlist(ref, { job: job_id, enqueuedAt });
    await world.store.executionKeys.enlist(ref, { job: next.id, enqueuedAt: enqueuedAt + 1 });
    await world.store.executionKeys.release(ref, "t/1", { job: job_id, until: now + 30_000 });

    expect((await cancel(p, job_id)).body.state).toBe("cancelled");
    expect(await world.store.executionKeys.waiters(ref, 10)).toEqual([{ job: next.id, enqueuedAt: enqueuedAt + 1 }]);
    expect(await world.store.executionKeys.read(ref)).toMatchObject({ reserved: next.id });
    expect((await world.store.parked.get(next))?.due).toBeLessThanOrEqual(world.deps.clock.now());
  });

  it("a key that a run may hold is left to it; one whose task is gone or long dead is freed", async () => {
    const p = await started();
    const task = lease();
    await world.store.tasks.register(task);
    const begun = async (boot: string) => {
      const { job_id } = (await world.call("POST", `/partitions/${p}/jobs`, { ...invoice, delay: 600 })).body;
      const ref = { partition: p, key: KEY };
      const me = { ...(await ownerOf(world.store.queueKeys, ref)), run: `${boot}/1`, task: boot };
      expect(await world.store.queueKeys.begin(ref, me, 1, world.deps.clock.now())).toEqual({ began: true });
      return job_id as string;
    };
    const state = async () => (await world.store.queueKeys.get({ partition: p, key: KEY }))?.state;
    const first = await begun(task.boot);
    expect((await cancel(p, first)).body.state).toBe("cancelled");
    expect(await state()).toBe("running");
    const declared = async (agoMs: number) => world.store.tasks.declareDead(task.boot, task.beat, world.deps.clock.now() - agoMs);
    await declared(0);
    await cancel(p, first);
    expect(await state()).toBe("running");
    await world.store.tasks.forget(task.boot);
    await cancel(p, first);
    expect(await state()).toBe("done");

    const dead = lease();
    await world.store.tasks.register(dead);
    await world.store.tasks.declareDead(dead.boot, dead.beat, world.deps.clock.now() - 6_000);
    await cancel(p, await begun(dead.boot));
    expect(await state()).toBe("done");
    await world.store.tasks.forget(dead.boot);
  });

  it("what can't be seen is being cancelled: the tasks are told", async () => {
    const p = await started();
    const before = await world.store.partitions.get(p);
    const answer = await cancel(p, "some-job");
    expect([answer.status, answer.body]).toEqual([202, { job_id: "some-job", state: "cancelling" }]);
    expect((await world.store.partitions.get(p))?.cancelSeq).toBe((before?.cancelSeq ?? 0) + 1);
    expect(await world.store.cancels.list(p)).toMatchObject([{ id: "some-job", at: expect.any(Number) }]);
    expect((await world.call("GET", `/partitions/${p}/jobs/some-job`)).body.state).toBe("cancelled");
  });

  it("a job that a pump has, and a long one that runs, are being cancelled", async () => {
    const p = await started();
    const taken = parkedJob(p);
    await world.store.parked.park(taken);
    await world.store.parked.claim(taken, world.deps.clock.now(), world.deps.clock.now() + 30_000);
    expect((await cancel(p, taken.id)).body.state).toBe("cancelling");
    const long = parkedJob(p, { reason: "long", run: "t/1", due: world.deps.clock.now() + 60_000 });
    await world.store.parked.park(long);
    expect((await cancel(p, long.id)).body.state).toBe("cancelling");
    expect((await world.store.parked.get(long))?.reason).toBe("long");
  });

  it("a buried job is refused, unless it was retried since", async () => {
    const p = await started();
    const grave = buriedJob(p, { buriedAt: world.deps.clock.now() - 10_000 });
    await world.store.buried.bury(grave);
    expect((await cancel(p, grave.id)).body).toMatchObject({ status: 409, code: "job_buried" });
    expect(await world.store.cancels.get(p, grave.id)).toBeUndefined();
    const task = lease();
    await world.store.tasks.register(task);
    const running = { id: grave.id, name: "greet", partition: p, queue: "default", attempt: 1, startedAt: world.deps.clock.now() };
    await world.store.tasks.report(report(task, { running: [running] }));
    expect((await cancel(p, grave.id)).body.state).toBe("cancelling");
    await world.store.tasks.forget(task.boot);
    const retried = buriedJob(p);
    await world.store.buried.bury(retried);
    await world.store.parked.park(parkedJob(p, { id: retried.id, attempt: 2 }));
    expect((await cancel(p, retried.id)).body.state).toBe("cancelled");
  });

  it("says no when there are too many, and to try again when the store is away", async () => {
    const p = await started();
    const cancels = { ...world.store.cancels, mark: async () => false };
    const full = await world.call("POST", `/partitions/${p}/jobs/x/cancel`, undefined, { store: { ...world.store, cancels } });
    expect(full.body).toMatchObject({ status: 429, code: "too_many_cancels", detail: new TooManyCancels(p).message });
    const gone = { ...world.store.cancels, mark: () => Promise.reject(new StoreUnavailable("no answer")) };
    const away = await world.call("POST", `/partitions/${p}/jobs/x/cancel`, undefined, { store: { ...world.store, cancels: gone } });
    expect(away.body).toMatchObject({ status: 503, code: "store_unavailable" });
  });

  it("stands when its keys can't be freed now", async () => {
    const p = await started();
    const { job_id } = (await world.call("POST", `/partitions/${p}/jobs`, { ...invoice, delay: 600 })).body;
    const queueKeys = { ...world.store.queueKeys, release: () => Promise.reject(new StoreUnavailable("no answer")) };
    const answer = await world.call("POST", `/partitions/${p}/jobs/${job_id}/cancel`, undefined, { store: { ...world.store, queueKeys } });
    expect(answer.body).toEqual({ job_id, state: "cancelled" });
    expect(world.log.lines.at(-1)).toMatchObject({ level: "warn", fields: { job: job_id } });
  });
});
