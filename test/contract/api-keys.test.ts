import { describe, expect, it } from "vitest";
import { decodeEnvelope } from "../../core/job/envelope.ts";
import { newJobId } from "../../core/job/id.ts";
import { ownIdKey } from "../../core/job/own-id.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { apiWorld, freshPartition, parkedJob } from "../api-world.ts";
import { ownerOf } from "../key-owner.ts";

const world = apiWorld();

async function started(): Promise<string> {
  const p = freshPartition();
  await world.call("POST", `/partitions/${p}/start`, { queues: { default: 1, mail: 1 } });
  return p;
}

const invoice = (number: string, change: object = {}) => ({ name: "invoice", args: { invoice: number, customer: "c" }, ...change });

describe("a job with keys", () => {
  it("is parked with them in its envelope, and has its queue key", async () => {
    const p = await started();
    const { status, body } = await world.call("POST", `/partitions/${p}/jobs`, invoice("1"));
    expect(status).toBe(202);
    const parked = await world.store.parked.get({ partition: p, id: body.job_id });
    expect(decodeEnvelope(parked?.body ?? "")).toMatchObject({ queue_key: "invoice:1", execution_key: "c" });
    expect(await world.store.queueKeys.get({ partition: p, key: "invoice:1" })).toEqual({
      jobId: body.job_id,
      enqueuedAt: parked?.enqueuedAt,
      queue: "default",
      state: "queued",
      attempt: 1,
    });
  });

  it("is refused while another has its queue key, and told which", async () => {
    const p = await started();
    const first = await world.call("POST", `/partitions/${p}/jobs`, invoice("1", { delay: 600 }));
    const second = await world.call("POST", `/partitions/${p}/jobs`, invoice("1"));
    expect(second.headers.get("content-type")).toBe("application/problem+json");
    expect(second.body).toMatchObject({ status: 409, code: "duplicate_job", existing_job_id: first.body.job_id });
    // In a partition of its own, or under another key, nobody is in its way.
    expect((await world.call("POST", `/partitions/${await started()}/jobs`, invoice("1"))).status).toBe(202);
    expect((await world.call("POST", `/partitions/${p}/jobs`, invoice("2"))).status).toBe(202);
    expect((await world.store.parked.list(p, { limit: 10 })).jobs).toHaveLength(2);
  });

  it("is accepted once the other one has ended", async () => {
    const p = await started();
    const ref = { partition: p, key: "invoice:1" };
    await world.call("POST", `/partitions/${p}/jobs`, invoice("1"));
    await world.store.queueKeys.release(ref, await ownerOf(world.store.queueKeys, ref), 99, world.deps.clock.now() + 60_000);
    expect((await world.call("POST", `/partitions/${p}/jobs`, invoice("1"))).status).toBe(202);
  });

  it("one of many that come at once is accepted", async () => {
    const p = await started();
    const answers = await Promise.all(Array.from({ length: 16 }, () => world.call("POST", `/partitions/${p}/jobs`, invoice("1"))));
    const [accepted, ...more] = answers.filter(({ status }) => status === 202);
    expect(more).toEqual([]);
    const told = answers.filter(({ status }) => status === 409).map(({ body }) => body.existing_job_id);
    expect(told).toEqual(Array(15).fill(accepted?.body.job_id));
  });

  it("has an item of its own in a list: the first that wants a key gets it", async () => {
    const p = await started();
    const { status, body } = await world.call("POST", `/partitions/${p}/jobs`, { jobs: [invoice("1"), invoice("1"), invoice("2")] });
    const { job_id } = body.jobs[0];
    expect([status, body.jobs]).toEqual([
      202,
      [
        { job_id: expect.any(String) },
        { error: expect.objectContaining({ status: 409, code: "duplicate_job", existing_job_id: job_id }) },
        { job_id: expect.any(String) },
      ],
    ]);
    const again = await world.call("POST", `/partitions/${p}/jobs`, { jobs: [invoice("1"), invoice("2")] });
    expect(again.body).toMatchObject({ status: 409, code: "duplicate_job", jobs: [{ error: { existing_job_id: job_id } }, { error: {} }] });
    const mixed = await world.call("POST", `/partitions/${p}/jobs`, { jobs: [invoice("1"), { name: "nope" }] });
    expect(mixed.body).toMatchObject({ status: 400, code: "nothing_accepted" });
  });
});

describe("an id of the caller's", () => {
  const mine = (id: string, change: object = {}) => ({ name: "greet", args: { who: "you" }, id, ...change });

  it("is the job's id, and accepted once", async () => {
    const p = await started();
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine("order:1.a_b-C"))).body).toEqual({ job_id: "order:1.a_b-C" });
    const again = await world.call("POST", `/partitions/${p}/jobs`, mine("order:1.a_b-C", { args: { who: "other" } }));
    expect([again.status, again.body]).toMatchObject([409, { code: "duplicate_job", existing_job_id: "order:1.a_b-C" }]);
    const parked = await world.store.parked.get({ partition: p, id: "order:1.a_b-C" });
    expect(decodeEnvelope(parked?.body ?? "")).toMatchObject({ id: "order:1.a_b-C", queue_key: "id:order:1.a_b-C", args: { who: "you" } });
  });

  it("stays taken while its end is remembered", async () => {
    const p = await started();
    await world.call("POST", `/partitions/${p}/jobs`, mine("1"));
    const ref = { partition: p, key: ownIdKey("1") };
    const life = await ownerOf(world.store.queueKeys, ref);
    await world.store.queueKeys.release(ref, life, 99, world.deps.clock.now() + 60_000);
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine("1"))).body.code).toBe("duplicate_job");
    await world.store.queueKeys.claim(ref, {
      outbox: parkedJob(p, { id: "1", enqueuedAt: life.enqueuedAt, attempt: 2 }),
      due: 0,
      now: world.deps.clock.now(),
      takeDone: false,
    });
    await world.store.queueKeys.release(ref, life, 99, 1);
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine("1"))).status).toBe(202);
  });

  it("is accepted while an earlier life lies about, whose hook is not told yet: the new one waits in its key", async () => {
    const p = await started();
    // Cancelled, forgotten by its key an hour later, and no worker has come by since.
    const before = parkedJob(p, { id: "1", attempt: 3, reason: "cancelled" });
    await world.store.parked.park(before);
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine("1"))).status).toBe(202);
    expect(await world.store.parked.get(before)).toMatchObject({ attempt: 3, reason: "cancelled" });
    expect(await world.store.queueKeys.get({ partition: p, key: ownIdKey("1") })).toMatchObject({ state: "publishing", outbox: { attempt: 1 } });
    expect((await world.call("GET", `/partitions/${p}/jobs/1`)).body).toMatchObject({ state: "parked", reason: "outbox", attempt: 1 });
  });

  it("is accepted in the place of what an earlier life has left behind", async () => {
    const p = await started();
    await world.store.parked.park(parkedJob(p, { id: "1", attempt: 3, reason: "retry" }));
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine("1"))).status).toBe(202);
    expect(await world.store.parked.get({ partition: p, id: "1" })).toMatchObject({ attempt: 1, reason: "outbox" });
  });

  it("may be a UUID of the caller's own", async () => {
    const p = await started();
    const id = newJobId();
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine(id))).body).toEqual({ job_id: id });
    expect((await world.call("POST", `/partitions/${p}/jobs`, mine(id))).status).toBe(409);
  });
});

describe("a store that is away for a moment", () => {
  const away = () => Promise.reject(new StoreUnavailable("DynamoDB gives no answer"));

  it("before the key is claimed: nothing is accepted, and it is to be tried again", async () => {
    const p = await started();
    const store = { ...world.store, queueKeys: { ...world.store.queueKeys, claim: away } };
    expect((await world.call("POST", `/partitions/${p}/jobs`, invoice("1"), { store })).body).toMatchObject({
      status: 503,
      code: "store_unavailable",
    });
    expect((await world.call("POST", `/partitions/${p}/jobs`, invoice("1"))).status).toBe(202);
  });

  it.each(["park", "published"] as const)("after that, at %s: the key is the job's outbox, so it is accepted", async (step) => {
    const p = await started();
    const { parked, queueKeys } = world.store;
    const store =
      step === "park" ? { ...world.store, parked: { ...parked, park: away } } : { ...world.store, queueKeys: { ...queueKeys, published: away } };
    const { status, body } = await world.call("POST", `/partitions/${p}/jobs`, invoice("1"), { store });
    expect(status).toBe(202);
    expect(await queueKeys.get({ partition: p, key: "invoice:1" })).toMatchObject({
      jobId: body.job_id,
      state: "publishing",
      outbox: { id: body.job_id },
    });
    expect((await world.call("POST", `/partitions/${p}/jobs`, invoice("1"))).body.existing_job_id).toBe(body.job_id);
  });
});
