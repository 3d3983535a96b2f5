import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ApiProblem, RogerApi } from "../../client/api.ts";
import { InvalidInput } from "../../core/contract/errors.ts";
import { composeApp } from "../../functions/app.ts";
import { type Gateway, startGateway } from "../../local/gateway.ts";
import { apiWorld, buriedJob, freshPartition } from "../api-world.ts";

const world = apiWorld();
let gateway: Gateway;
let api: RogerApi;

beforeAll(async () => {
  gateway = await startGateway({ app: composeApp(world.deps), port: 0 });
  api = new RogerApi(`${gateway.url}/`);
});
afterAll(() => gateway.stop());

async function problemOf(call: Promise<unknown>): Promise<ApiProblem> {
  const thrown = await call.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(ApiProblem);
  return thrown as ApiProblem;
}

describe("RogerApi", () => {
  it("has a method for each route", async () => {
    const p = freshPartition();
    expect(await api.start(p, { queues: { default: 2 } }, { wait: 0.1 })).toMatchObject({ id: p, revision: 1 });
    expect(await api.reconfigure(p, { pools: { default: { default: 3 } } })).toMatchObject({ revision: 2 });
    expect(await api.pause(p, "default")).toMatchObject({ queues: [{ paused: true }] });
    expect(await api.resume(p, "default")).toMatchObject({ queues: [{ paused: false }] });
    expect((await api.partitions({ status: "running", limit: 100 })).partitions.map(({ id }) => id)).toContain(p);
    expect(await api.partition(p)).toMatchObject({ status: "running" });

    const { job_id } = await api.enqueue(p, { name: "greet", args: { who: "you" }, delay: 60 });
    expect(await api.job(p, job_id)).toMatchObject({ state: "parked", reason: "delayed" });
    const list = await api.enqueueAll(p, [{ name: "nothing" }, { name: "nope" }]);
    expect(list.jobs).toMatchObject([{ job_id: expect.any(String) }, { error: { code: "unknown_job", field: "jobs.1.name" } }]);
    expect((await api.jobs(p, { state: "parked" })).jobs).toHaveLength(2);

    world.queues.bodies.set(`${p}-default`, [Buffer.from("x"), Buffer.from("y")]);
    expect((await api.peek(p, "default", 1)).jobs).toMatchObject([{ job_id: null, bytes: 1 }]);
    // The two messages, and the job that was on its way there.
    expect(await api.purge(p, "default")).toEqual({ removed: 3, more: true, cursor: "messages" });

    expect(await api.explain(p, job_id)).toMatchObject({ job_id, state: "parked", reasons: [{ code: "parked_until" }, { code: "no_task" }] });
    expect(await api.cancel(p, job_id)).toEqual({ job_id, state: "cancelled" });
    const grave = buriedJob(p, { id: "b1" });
    await world.store.buried.bury(grave);
    await world.store.buried.bury(buriedJob(p, { id: "b2" }));
    await world.store.buried.bury(buriedJob(p, { id: "b3" }));
    expect(await api.buried(p, "b1")).toMatchObject({ state: "buried", job_id: "b1", args: { who: "you" } });
    expect(await api.retryBuried(p, "b1")).toEqual({ job_id: "b1" });
    expect(await api.deleteBuried(p, "b2")).toEqual({ job_id: "b2" });
    expect(await api.retryAllBuried(p)).toEqual({ retried: 1, failed: [], more: false, cursor: null });
    expect(await api.tasks()).toEqual({ pools: [], tasks: [] });
    expect(await api.health()).toEqual({ status: "ok" });
    expect(await api.safeStop(p)).toMatchObject({ status: "stopped" });
    expect(await api.stop(p)).toMatchObject({ status: "stopped" });
    expect(await api.delete(p, { force: true })).toEqual({ status: "deleted" });
  });

  it("throws the API's problems", async () => {
    const p = freshPartition();
    await api.start(p, { queues: { default: 1 } });
    await api.enqueue(p, { name: "nothing", id: "mine" });
    const duplicate = await problemOf(api.enqueue(p, { name: "nothing", id: "mine" }));
    expect(duplicate).toMatchObject({ code: "duplicate_job", status: 409, body: { existing_job_id: "mine" } });

    const problem = await problemOf(api.start("acme", { queues: { default: -1 } }));
    expect(problem).toMatchObject({ code: "invalid_request", status: 400, field: "queues.default", body: { title: "Bad Request" } });
    expect(problem.detail).toContain("queues.default");
    expect(await problemOf(api.partition(freshPartition()))).toMatchObject({ code: "unknown_partition", status: 404, field: undefined });
    // A slash is part of the name, not of the path.
    expect(await problemOf(api.stop("a/b"))).toMatchObject({ code: "invalid_request", field: "partition" });
  });

  it("says which URL it cannot reach, and gives up in time", async () => {
    const gone = await startGateway({ app: { fetch: () => new Promise<Response>(() => {}) }, port: 0, graceMs: 0 });
    expect(await problemOf(new RogerApi(gone.url, { timeoutMs: 100 }).health())).toMatchObject({
      code: "unreachable",
      detail: expect.stringContaining("no answer in time"),
    });
    await gone.stop();
    const problem = await problemOf(new RogerApi(gone.url).health());
    expect(problem).toMatchObject({ code: "unreachable", status: undefined, detail: expect.stringContaining(gone.url) });
    expect(problem.detail).toContain("ECONNREFUSED");
  });

  it("takes an answer that Roger would not give for what it is", async () => {
    const other = await startGateway({ app: { fetch: () => new Response("<html>502 Bad Gateway</html>", { status: 502 }) }, port: 0 });
    expect(await problemOf(new RogerApi(other.url).health())).toMatchObject({ code: "unexpected_answer", status: 502 });
    await other.stop();
  });

  it("refuses what is no URL, and names that would walk up the path", () => {
    expect(() => new RogerApi("localhost:3000")).toThrow(InvalidInput);
    expect(() => api.stop("..")).toThrow(InvalidInput);
  });
});
