import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/contract/limits.ts";
import type { BuriedJob, BuriedStore } from "../../../core/job/buried.ts";
import { allPages, type Make, type TestClock } from "./world.ts";

export function buriedStoreSuite(make: Make<BuriedStore>): void {
  let store: BuriedStore;
  let clock: TestClock;
  let job: Omit<BuriedJob, "rev">;
  beforeEach(async () => {
    ({ store, clock } = await make());
    const error = { name: "Error", message: "no such customer", stack: "Error: no such customer\n  at …" };
    job = {
      partition: "acme.corp-1",
      id: "0192f3a4-1.2:x-9",
      name: "send-invoice",
      queue: "mail",
      attempt: 3,
      reason: "failed",
      buriedAt: clock.now(),
      error,
      history: [{ attempt: 3, started_at: 1, failed_at: 2, task: "boot-1", error }],
      body: '{"v":1}',
    };
  });

  it("keeps the job as it is", async () => {
    await store.bury(job);
    const buried = await store.get(job.partition, job.id);
    expect(buried).toEqual({ ...job, rev: buried?.rev });
    expect(await store.get("other", job.id)).toBeUndefined();
  });

  it("keeps what could not be read: no name, no history, a large body, an error without a stack", async () => {
    const odd = { ...job, name: "", queue: "", history: [], error: { name: "NonError", message: "" }, body: "\u0000é".repeat(100 * 1024) };
    await store.bury(odd);
    expect(await store.get(job.partition, job.id)).toMatchObject(odd);
  });

  it("replaces the item when it is buried again", async () => {
    await store.bury(job);
    const first = await store.get(job.partition, job.id);
    await store.bury({ ...job, reason: "discarded" });
    const second = await store.get(job.partition, job.id);
    expect(second?.reason).toBe("discarded");
    expect(second?.rev).not.toBe(first?.rev);
  });

  it("removes only the rev that was read, once", async () => {
    await store.bury(job);
    const rev = (await store.get(job.partition, job.id))?.rev ?? "";
    await store.bury(job);
    expect(await store.remove(job.partition, job.id, rev)).toBe(false);
    const latest = (await store.get(job.partition, job.id))?.rev ?? "";
    expect(await store.remove(job.partition, job.id, latest)).toBe(true);
    expect(await store.remove(job.partition, job.id, latest)).toBe(false);
    expect(await store.get(job.partition, job.id)).toBeUndefined();
  });

  it("lists a partition's jobs by id, page by page", async () => {
    const ids = Array.from({ length: 7 }, (_, i) => `job-${i}`);
    await Promise.all(ids.map((id) => store.bury({ ...job, id })));
    await store.bury({ ...job, partition: "acme.corp-2" });
    for (const limit of [2, 50]) {
      const pages = await allPages(async (cursor) => {
        const page = await store.list(job.partition, { limit, ...(cursor === undefined ? {} : { cursor }) });
        return { items: page.jobs.map(({ id }) => id), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
      });
      expect(pages.flat()).toEqual(ids);
    }
    await expect(store.list(job.partition, { limit: 1, cursor: "nonsense" })).rejects.toMatchObject({ field: "cursor" });
  });

  it("shows no job whose time is over, whether or not it is still in the table", async () => {
    await store.bury(job);
    clock.advance(LIMITS.buriedKeepMs - 1_000);
    expect(await store.get(job.partition, job.id)).toBeDefined();
    clock.advance(2_000);
    expect(await store.get(job.partition, job.id)).toBeUndefined();
    expect((await store.list(job.partition, { limit: 10 })).jobs).toEqual([]);
  });

  describe("sizes", () => {
    it("holds the largest envelope with the longest history", async () => {
      const error = { name: "Error", message: "m".repeat(LIMITS.messageBytes), stack: "s".repeat(LIMITS.stackBytes) };
      const history = Array.from({ length: LIMITS.history }, (_, i) => ({
        attempt: i,
        started_at: clock.now(),
        failed_at: clock.now(),
        task: "boot-1",
        error,
      }));
      const body = JSON.stringify({ args: "x".repeat(LIMITS.envelopeBytes), history: history.slice(1) });
      await store.bury({ ...job, error, history, body });
      expect((await store.get(job.partition, job.id))?.history).toEqual(history);
    });
  });
}
