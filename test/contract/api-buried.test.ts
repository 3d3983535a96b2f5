import { describe, expect, it } from "vitest";
import { forEachWithin } from "../../core/contract/window.ts";
import { EVERY_LIFE, hits } from "../../core/job/cancels.ts";
import { decodeEnvelope } from "../../core/job/envelope.ts";
import { ownIdKey } from "../../core/job/own-id.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { apiWorld, buriedJob, freshPartition, lease, parkedJob, report } from "../api-world.ts";

const world = apiWorld();

async function started(): Promise<string> {
  const p = freshPartition();
  await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1 } });
  return p;
}

/** A buried job whose message said this beside the usual. */
function grave(p: string, envelope: object = {}, change: Parameters<typeof buriedJob>[1] = {}) {
  const job = buriedJob(p, change);
  return { ...job, body: JSON.stringify({ ...(JSON.parse(job.body) as object), ...envelope }) };
}

const KEYED = { name: "invoice", args: { invoice: "1" }, queue_key: "invoice:1" };
const retry = (p: string, id: string) => world.call("POST", `/partitions/${p}/buried/${id}/retry`);

describe("a buried job", () => {
  it("is read with its errors", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, {}, { id: "b1", error: { name: "E", message: "no", stack: "at x" } }));
    const { status, body } = await world.call("GET", `/partitions/${p}/buried/b1`);
    expect([status, body]).toMatchObject([
      200,
      {
        state: "buried",
        job_id: "b1",
        attempt: 1,
        args: { who: "you" },
        error: { message: "no", stack: "at x" },
        history: [{ attempt: 1, task: "t1" }],
      },
    ]);
  });

  it("is deleted, once", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, {}, { id: "b1" }));
    const deleted = await world.call("DELETE", `/partitions/${p}/buried/b1`);
    expect([deleted.status, deleted.body]).toEqual([200, { job_id: "b1" }]);
    expect((await world.call("DELETE", `/partitions/${p}/buried/b1`)).body).toMatchObject({ status: 404, code: "not_buried" });
  });

  it("is not deleted in place of what was buried since it was read", async () => {
    const p = await started();
    const job = grave(p, {}, { id: "b1" });
    await world.store.buried.bury(job);
    const get: typeof world.store.buried.get = async (...at) => {
      const read = await world.store.buried.get(...at);
      await world.store.buried.bury(job);
      return read;
    };
    const store = { ...world.store, buried: { ...world.store.buried, get } };
    expect((await world.call("DELETE", `/partitions/${p}/buried/b1`, undefined, { store })).body).toMatchObject({ status: 409, code: "conflict" });
    expect(await world.store.buried.get(p, "b1")).toBeDefined();
  });
});

describe("retry", () => {
  it("brings it on its way from attempt 1, its history kept", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, { attempt: 3 }, { id: "b1", attempt: 3 }));
    const answer = await retry(p, "b1");
    expect([answer.status, answer.body]).toEqual([202, { job_id: "b1" }]);
    const parked = await world.store.parked.get({ partition: p, id: "b1" });
    expect(parked).toMatchObject({ reason: "outbox", attempt: 4 });
    expect(decodeEnvelope(parked?.body ?? "")).toMatchObject({ attempt: 4, attempts_before: 3, history: [{ attempt: 1 }] });
    expect((await world.call("GET", `/partitions/${p}/jobs/b1`)).body).toMatchObject({ state: "parked", attempt: 1, history: [{ attempt: 1 }] });
    expect((await world.call("GET", `/partitions/${p}/jobs?state=parked`)).body.jobs).toMatchObject([{ job_id: "b1", attempt: 1 }]);
    expect((await retry(p, "b1")).body).toMatchObject({ status: 404, code: "not_buried" });
  });

  it("shows the attempt of a second burial as people count it", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, { attempt: 5, attempts_before: 3 }, { id: "b1", attempt: 5 }));
    expect((await world.call("GET", `/partitions/${p}/jobs/b1`)).body.attempt).toBe(2);
    expect((await world.call("GET", `/partitions/${p}/jobs?state=buried`)).body.jobs[0].attempt).toBe(2);
  });

  it("is refused when its queue key is another's by now", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, KEYED, { id: "b1", name: "invoice" }));
    const { job_id } = (await world.call("POST", `/partitions/${p}/jobs`, { name: "invoice", args: { invoice: "1" } })).body;
    expect((await retry(p, "b1")).body).toMatchObject({ status: 409, code: "duplicate_job", existing_job_id: job_id });
    expect(await world.store.buried.get(p, "b1")).toBeDefined();
  });

  it("is refused while its own run leaves its key", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, KEYED, { id: "b1", name: "invoice" }));
    await world.store.queueKeys.begin(
      { partition: p, key: "invoice:1" },
      { job: "b1", enqueuedAt: 1_000, run: "t/1", task: "t" },
      1,
      world.deps.clock.now(),
    );
    expect((await retry(p, "b1")).body).toMatchObject({ status: 409, code: "duplicate_job", existing_job_id: "b1" });
    expect(await world.store.buried.get(p, "b1")).toBeDefined();
  });

  it("is refused for what is no job of this partition", async () => {
    const p = await started();
    const other = await started();
    await world.store.buried.bury({ ...grave(p), id: "unreadable-1", body: "no job" });
    await world.store.buried.bury({ ...grave(p), id: "unreadable-2", body: grave(other).body });
    for (const id of ["unreadable-1", "unreadable-2"]) expect((await retry(p, id)).body).toMatchObject({ status: 409, code: "not_retryable" });
    expect((await world.store.parked.list(other, { limit: 10 })).jobs).toEqual([]);
    expect((await world.call("GET", `/partitions/${p}/buried/unreadable-1`)).body).toMatchObject({ args: null });
  });

  it("is the later wish where the job was cancelled before; a cancel after it is", async () => {
    const p = await started();
    const { cancels, parked } = world.store;
    await world.store.buried.bury(grave(p, {}, { id: "b1" }));
    await cancels.mark(p, "b1", EVERY_LIFE);
    const isHit = async () => hits((await cancels.get(p, "b1"))!, decodeEnvelope((await parked.get({ partition: p, id: "b1" }))!.body));
    expect((await retry(p, "b1")).status).toBe(202);
    expect(await isHit()).toBe(false);
    expect((await world.call("POST", `/partitions/${p}/jobs/b1/cancel`)).body.state).toBe("cancelled");
    expect(await isHit()).toBe(true);
  });

  it.each([
    ["a plain job", "019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b", {}, EVERY_LIFE, "unknown"],
    ["a job with an id of its caller's", "b1", { queue_key: ownIdKey("b1") }, 1_001, "queued"],
  ])("shows %s that was cancelled before as on its way again, until somebody cancels it anew", async (_, id, keys, markedAt, state) => {
    const p = await started();
    await world.store.buried.bury(grave(p, keys, { id }));
    await world.store.cancels.mark(p, id, markedAt);
    expect((await retry(p, id)).status).toBe(202);
    const explained = async () => {
      const { body } = await world.call("GET", `/partitions/${p}/jobs/${id}/explain`);
      return { state: body.state, isCancelled: body.reasons.some(({ code }: { code: string }) => code === "cancelled") };
    };
    expect(await explained()).toEqual({ state: "parked", isCancelled: false });
    const parked = await world.store.parked.get({ partition: p, id });
    await world.store.parked.remove(parked!, parked!.rev);
    expect(await explained()).toEqual({ state, isCancelled: false });
    expect((await world.call("POST", `/partitions/${p}/jobs/${id}/cancel`)).body.state).toBe("cancelling");
    expect(await explained()).toEqual({ state: "cancelled", isCancelled: true });
  });

  it("is refused for a queue that is not listed", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, { queue: "gone" }, { id: "b2", queue: "gone" }));
    expect((await retry(p, "b2")).body).toMatchObject({ status: 404, code: "unknown_queue" });
  });

  it("gives a job that was buried as poison all its starts again", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, {}, { id: "b1", reason: "poison" }));
    for (let start = 1; start <= 6; start++) expect(await world.store.suspects.started(p, "b1")).toBe(start);
    expect((await retry(p, "b1")).status).toBe(202);
    expect(await world.store.suspects.started(p, "b1")).toBe(1);
  });

  it("takes a partition that is stopped, but none that is being deleted", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, {}, { id: "b1" }));
    await world.call("POST", `/partitions/${p}/stop`);
    expect((await retry(p, "b1")).status).toBe(202);
    const partitions = { ...world.store.partitions, get: async () => ({ ...(await world.store.partitions.get(p))!, status: "deleting" as const }) };
    const answer = await world.call("POST", `/partitions/${p}/buried/b1/retry`, undefined, { store: { ...world.store, partitions } });
    expect(answer.body).toMatchObject({ status: 404, code: "unknown_partition" });
  });
});

describe("retry of many", () => {
  const retryAll = (p: string, body?: object, replaced = {}) => world.call("POST", `/partitions/${p}/buried/retry`, body, replaced);

  it("takes all, or those of one name, and tells which stay", async () => {
    const p = await started();
    for (const id of ["a", "b", "c"]) await world.store.buried.bury(grave(p, {}, { id }));
    await world.store.buried.bury(grave(p, { name: "mail" }, { id: "d", name: "mail" }));
    await world.store.buried.bury({ ...grave(p), id: "e", body: "no job" });
    expect((await retryAll(p, { name: "mail" })).body).toEqual({ retried: 1, failed: [], more: false, cursor: null });
    const all = await retryAll(p);
    expect([all.status, all.body]).toEqual([202, { retried: 3, failed: [{ job_id: "e", code: "not_retryable" }], more: false, cursor: null }]);
    expect((await world.store.parked.list(p, { limit: 10 })).jobs.map(({ id }) => id)).toEqual(["a", "b", "c", "d"]);
    expect((await retryAll(p, {})).body).toMatchObject({ retried: 0, failed: [{ job_id: "e" }] });
  });

  it("is bounded, and goes on from its cursor past those that stay", async () => {
    const p = await started();
    // More than one request looks at; the first 300 can't be retried.
    const graves = Array.from({ length: 620 }, (_, i) => ({ ...grave(p, {}, { id: `j${String(i).padStart(4, "0")}` }) }));
    await forEachWithin(20, graves.entries(), ([i, job]) => world.store.buried.bury(i < 300 ? { ...job, body: "no job" } : job));
    // By count: this test is not about the time.
    const clock = { ...world.deps.clock, monotonic: () => 0 };
    const first = (await retryAll(p, {}, { clock })).body;
    expect(first).toMatchObject({ retried: 200, more: true, cursor: expect.any(String) });
    expect(first.failed).toHaveLength(300);
    const second = (await retryAll(p, { cursor: first.cursor }, { clock })).body;
    expect(second).toEqual({ retried: 120, failed: [], more: false, cursor: null });
    expect((await world.store.buried.list(p, { limit: 100 })).jobs.every(({ body }) => body === "no job")).toBe(true);
  });

  it("ends when its time is up, after one page at least", async () => {
    const p = await started();
    for (let i = 0; i < 60; i++) await world.store.buried.bury(grave(p));
    let now = 0;
    const clock = { ...world.deps.clock, monotonic: () => (now += 20_000) };
    const part = (await retryAll(p, {}, { clock })).body;
    expect(part).toMatchObject({ retried: 50, more: true });
    expect((await retryAll(p, { cursor: part.cursor })).body).toMatchObject({ retried: 10, more: false });
  });

  it("one of several with the same queue key is on its way", async () => {
    const p = await started();
    for (const id of ["a", "b", "c"]) await world.store.buried.bury(grave(p, KEYED, { id, name: "invoice" }));
    const { retried, failed } = (await retryAll(p)).body;
    expect([retried, failed.map(({ code }: { code: string }) => code)]).toEqual([1, ["duplicate_job", "duplicate_job"]]);
  });

  it("is to be tried again when the store is away", async () => {
    const p = await started();
    await world.store.buried.bury(grave(p, {}, { id: "a" }));
    const parked = { ...world.store.parked, park: () => Promise.reject(new StoreUnavailable("no answer")) };
    expect((await retryAll(p, {}, { store: { ...world.store, parked } })).body).toMatchObject({ status: 503, code: "store_unavailable" });
    expect((await retryAll(p)).body.retried).toBe(1);
  });
});

describe("one that was retried and is still listed", () => {
  it("is shown where it is now", async () => {
    const p = await started();
    const ago = world.deps.clock.now() - 10_000;
    await world.store.buried.bury(grave(p, {}, { id: "b1", buriedAt: ago }));
    await world.store.parked.park(parkedJob(p, { id: "b1", attempt: 2 }));
    const state = async (id: string) => (await world.call("GET", `/partitions/${p}/jobs/${id}`)).body.state;
    expect(await state("b1")).toBe("parked");
    await world.store.buried.bury(grave(p, {}, { id: "b2", buriedAt: ago }));
    const task = lease();
    await world.store.tasks.register(task);
    const running = { id: "b2", name: "greet", partition: p, queue: "default", attempt: 1 };
    await world.store.tasks.report(report(task, { running: [{ ...running, startedAt: ago - 1_000 }] }));
    expect(await state("b2")).toBe("buried");
    await world.store.tasks.report(report(task, { running: [{ ...running, startedAt: ago + 1_000 }] }));
    expect(await state("b2")).toBe("running");
    await world.store.tasks.forget(task.boot);
  });
});
