import { beforeEach, describe, expect, it } from "vitest";
import { InvalidInput } from "../../../core/contract/errors.ts";
import { hash32 } from "../../../core/contract/hash.ts";
import { LIMITS } from "../../../core/contract/limits.ts";
import type { ParkedJob, ParkedStore } from "../../../core/job/parked.ts";
import { allPages, type Make } from "./world.ts";

const NOW = 1_900_000_000_000;
const ID = "0192f3a4-1.2:x-9";
const JOB: Omit<ParkedJob, "rev"> = {
  partition: "acme.corp-1",
  id: ID,
  name: "send-invoice",
  queue: "mail",
  attempt: 2,
  reason: "retry",
  due: NOW,
  since: NOW - 5_000,
  body: '{"v":1}',
};
const REF = { partition: JOB.partition, id: ID };
const shardOf = (id: string) => hash32(id) % LIMITS.dueShards;

export function parkedStoreSuite(make: Make<ParkedStore>): void {
  let store: ParkedStore;
  beforeEach(async () => {
    ({ store } = await make());
  });

  describe("park", () => {
    it("keeps the job as it is", async () => {
      expect(await store.park(JOB)).toBe(true);
      const parked = await store.get(REF);
      expect(parked).toEqual({ ...JOB, rev: parked?.rev });
      expect(await store.get({ ...REF, id: "other" })).toBeUndefined();
      expect(await store.get({ ...REF, partition: "other" })).toBeUndefined();
    });

    it("replaces the same and an earlier attempt, with a new rev", async () => {
      await store.park(JOB);
      const first = await store.get(REF);
      expect(await store.park({ ...JOB, body: "again" })).toBe(true);
      expect((await store.get(REF))?.rev).not.toBe(first?.rev);
      expect(await store.park({ ...JOB, attempt: 3, body: "later" })).toBe(true);
      expect(await store.get(REF)).toMatchObject({ attempt: 3, body: "later" });
    });

    it("refuses to replace a later attempt", async () => {
      await store.park({ ...JOB, attempt: 3, body: "later" });
      expect(await store.park(JOB)).toBe(false);
      expect(await store.get(REF)).toMatchObject({ attempt: 3, body: "later" });
    });

    it("holds the largest envelope", async () => {
      const body = "x".repeat(300 * 1024);
      expect(await store.park({ ...JOB, body })).toBe(true);
      expect((await store.get(REF))?.body).toBe(body);
      expect((await store.claim(REF, NOW, NOW + 30_000))?.body).toBe(body);
    });
  });

  describe("dueRefs", () => {
    it("suggests what is due, oldest first, from its own share of the index", async () => {
      const ids = Array.from({ length: 24 }, (_, i) => `job-${i}`);
      await Promise.all(ids.map((id, i) => store.park({ ...JOB, id, due: NOW - i * 10 })));
      await store.park({ ...JOB, id: "later", due: NOW + 1 });
      for (let shard = 0; shard < LIMITS.dueShards; shard++) {
        const expected = ids.filter((id) => shardOf(id) === shard).reverse();
        expect(await store.dueRefs(shard, NOW, 100)).toEqual(expected.map((id) => ({ partition: JOB.partition, id })));
        expect(await store.dueRefs(shard, NOW, 1)).toEqual(expected.slice(0, 1).map((id) => ({ partition: JOB.partition, id })));
      }
      expect(await store.dueRefs(shardOf("later"), NOW, 100)).not.toContainEqual({ partition: JOB.partition, id: "later" });
      expect(await store.dueRefs(shardOf("later"), NOW + 1, 100)).toContainEqual({ partition: JOB.partition, id: "later" });
    });

    it("is moved by claim and postpone, and left by remove", async () => {
      await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(await store.dueRefs(shardOf(ID), NOW, 10)).toEqual([]);
      expect(await store.dueRefs(shardOf(ID), NOW + 30_000, 10)).toEqual([REF]);
      await store.postpone(REF, claimed?.rev ?? "", NOW + 60_000);
      expect(await store.dueRefs(shardOf(ID), NOW + 30_000, 10)).toEqual([]);
      await store.remove(REF, (await store.get(REF))?.rev ?? "");
      expect(await store.dueRefs(shardOf(ID), NOW + 60_000, 10)).toEqual([]);
    });
  });

  describe("claim", () => {
    it("takes a due job: it is not due again before `until`", async () => {
      await store.park(JOB);
      const parked = await store.get(REF);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(claimed).toEqual({ ...JOB, due: NOW + 30_000, rev: claimed?.rev });
      expect(claimed?.rev).not.toBe(parked?.rev);
      expect(await store.claim(REF, NOW + 29_999, NOW + 60_000)).toBeUndefined();
      expect(await store.claim(REF, NOW + 30_000, NOW + 60_000)).toBeDefined();
    });

    it("finds nothing that is not due or not there", async () => {
      await store.park({ ...JOB, due: NOW + 1 });
      expect(await store.claim(REF, NOW, NOW + 30_000)).toBeUndefined();
      expect(await store.claim({ ...REF, id: "gone" }, NOW, NOW + 30_000)).toBeUndefined();
      expect(await store.get({ ...REF, id: "gone" })).toBeUndefined();
    });

    it("is had by one of many pumps", async () => {
      await store.park(JOB);
      const claims = await Promise.all(Array.from({ length: 32 }, () => store.claim(REF, NOW, NOW + 30_000)));
      expect(claims.filter((job) => job !== undefined)).toHaveLength(1);
    });
  });

  describe("remove and postpone", () => {
    it("act on the rev that was read, once", async () => {
      await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      const rev = claimed?.rev ?? "";
      expect(await store.postpone(REF, rev, NOW + 99)).toBe(true);
      expect((await store.get(REF))?.due).toBe(NOW + 99);
      expect(await store.postpone(REF, rev, NOW)).toBe(false);
      expect(await store.remove(REF, rev)).toBe(false);
      const latest = (await store.get(REF))?.rev ?? "";
      expect(await store.remove(REF, latest)).toBe(true);
      expect(await store.remove(REF, latest)).toBe(false);
      expect(await store.postpone(REF, latest, NOW)).toBe(false);
      expect(await store.get(REF)).toBeUndefined();
    });

    it("leave alone what was parked anew after the claim", async () => {
      await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      await store.park({ ...JOB, attempt: 3 });
      expect(await store.remove(REF, claimed?.rev ?? "")).toBe(false);
      expect((await store.get(REF))?.attempt).toBe(3);
    });
  });

  describe("touch", () => {
    it("finds the item of this or a later attempt, and keeps a pump from removing it", async () => {
      await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(await store.touch(REF, 1)).toMatchObject(REF);
      expect(await store.touch(REF, 2)).toEqual(await store.get(REF));
      expect(await store.remove(REF, claimed?.rev ?? "")).toBe(false);
      expect(await store.get(REF)).toMatchObject({ attempt: 2, due: NOW + 30_000 });
    });

    it("finds none of an earlier attempt, nor one that is gone, and makes none", async () => {
      await store.park(JOB);
      expect(await store.touch(REF, 3)).toBeUndefined();
      expect(await store.touch({ ...REF, id: "gone" }, 1)).toBeUndefined();
      expect(await store.get({ ...REF, id: "gone" })).toBeUndefined();
    });
  });

  describe("list", () => {
    it("shows a partition's jobs by id, page by page", async () => {
      const ids = Array.from({ length: 11 }, (_, i) => `job-${String(i).padStart(2, "0")}`);
      await Promise.all(ids.map((id) => store.park({ ...JOB, id })));
      await store.park({ ...JOB, partition: "acme.corp-2" });
      for (const limit of [1, 4, 50]) {
        const pages = await allPages(async (cursor) => {
          const page = await store.list(JOB.partition, { limit, ...(cursor === undefined ? {} : { cursor }) });
          return { items: page.jobs.map(({ id }) => id), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
        });
        expect(pages.flat()).toEqual(ids);
        expect(Math.max(...pages.map((page) => page.length))).toBeLessThanOrEqual(limit);
      }
    });

    it("gets to the end of large bodies", async () => {
      const ids = Array.from({ length: 6 }, (_, i) => `job-${i}`);
      for (const id of ids) await store.park({ ...JOB, id, body: "x".repeat(300 * 1024) });
      const pages = await allPages(async (cursor) => {
        const page = await store.list(JOB.partition, { limit: 50, ...(cursor === undefined ? {} : { cursor }) });
        return { items: page.jobs.map(({ id }) => id), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
      });
      expect(pages.flat()).toEqual(ids);
    });

    it("refuses a cursor that no list gave", async () => {
      const foreign = (text: string) => Buffer.from(text).toString("base64url");
      for (const cursor of ["", "nonsense", "é", foreign("partitions:1/"), foreign("parked:"), foreign(`parked:${"x".repeat(1025)}`)]) {
        const answer = store.list(JOB.partition, { limit: 1, cursor });
        await expect(answer).rejects.toBeInstanceOf(InvalidInput);
        await expect(answer).rejects.toMatchObject({ field: "cursor" });
      }
    });
  });
}
