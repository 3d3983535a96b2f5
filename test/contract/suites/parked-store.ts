import { beforeEach, describe, expect, it } from "vitest";
import { InvalidInput } from "../../../core/contract/errors.ts";
import { DUE_SHARDS, dueShard } from "../../../core/job/due-shard.ts";
import type { NewParkedJob, ParkedStore } from "../../../core/job/parked.ts";
import { allPages, type Make } from "./world.ts";

const NOW = 1_900_000_000_000;
const ID = "0192f3a4-1.2:x-9";
const JOB: NewParkedJob = {
  partition: "acme.corp-1",
  id: ID,
  enqueuedAt: NOW - 10_000,
  name: "send-invoice",
  queue: "mail",
  attempt: 2,
  reason: "retry",
  due: NOW,
  since: NOW - 5_000,
  body: '{"v":1}',
};
const REF = { partition: JOB.partition, id: ID };
const DUE = { kind: "parked", ref: REF } as const;
/** Runs, at the age at which its message had to be acked. */
const LONG: NewParkedJob = { ...JOB, reason: "long", due: NOW + 60_000, run: "boot-1.7" };
const RUN = "boot-1.7";
/** Waits for its execution key. */
const WAITING: NewParkedJob = { ...JOB, reason: "waiting", due: NOW + 60_000 };
/** The job, where it has come to. */
const at = (attempt: number) => ({ enqueuedAt: JOB.enqueuedAt, attempt });
const shardOf = (id: string) => dueShard(JOB.partition, id);

export function parkedStoreSuite(make: Make<ParkedStore>): void {
  let store: ParkedStore;
  beforeEach(async () => {
    ({ store } = await make());
  });

  describe("park", () => {
    it("keeps the job as it is, and tells its rev", async () => {
      const rev = await store.park(JOB);
      expect(rev).toEqual(expect.any(String));
      expect(await store.get(REF)).toEqual({ ...JOB, claimed: false, rev });
      expect(await store.get({ ...REF, id: "other" })).toBeUndefined();
      expect(await store.get({ ...REF, partition: "other" })).toBeUndefined();
    });

    it("keeps the run of a long one", async () => {
      const rev = await store.park(LONG);
      expect(await store.get(REF)).toEqual({ ...LONG, claimed: false, rev });
    });

    it("replaces the same and an earlier attempt, with a new rev", async () => {
      const first = await store.park(JOB);
      const second = await store.park({ ...JOB, body: "again" });
      expect(second).not.toBe(first);
      expect(await store.get(REF)).toMatchObject({ body: "again", rev: second });
      const third = await store.park({ ...JOB, attempt: 3, body: "later" });
      expect(await store.get(REF)).toMatchObject({ attempt: 3, body: "later", rev: third });
    });

    it("replaces the whole of it: what was claimed is no longer, what a run held it holds no more", async () => {
      await store.park(JOB);
      await store.claim(REF, NOW, NOW + 30_000);
      const rev = await store.park(JOB);
      expect(await store.get(REF)).toEqual({ ...JOB, claimed: false, rev });
      await store.park(LONG);
      const retry = await store.park({ ...JOB, attempt: 3 });
      expect(await store.get(REF)).toEqual({ ...JOB, attempt: 3, claimed: false, rev: retry });
    });

    it("refuses to replace a later attempt", async () => {
      const rev = await store.park({ ...JOB, attempt: 3, body: "later" });
      expect(await store.park(JOB)).toBeUndefined();
      expect(await store.get(REF)).toMatchObject({ attempt: 3, body: "later", rev });
    });

    it("holds the largest envelope", async () => {
      const body = "x".repeat(300 * 1024);
      expect(await store.park({ ...JOB, body })).toBeDefined();
      expect((await store.get(REF))?.body).toBe(body);
      expect((await store.claim(REF, NOW, NOW + 30_000))?.body).toBe(body);
    });
  });

  describe("due", () => {
    const suggested = (id: string, at: number) => ({ kind: "parked", ref: { partition: JOB.partition, id }, at });

    it("suggests what is due, from the end that is asked for, from its own share of the index", async () => {
      const ids = Array.from({ length: 24 }, (_, i) => `job-${i}`);
      await Promise.all(ids.map((id, i) => store.park({ ...JOB, id, due: NOW - i * 10 })));
      await store.park({ ...JOB, id: "later", due: NOW + 1 });
      for (const shard of DUE_SHARDS) {
        const expected = ids.flatMap((id, i) => (shardOf(id) === shard ? [suggested(id, NOW - i * 10)] : [])).reverse();
        expect(await store.due(shard, NOW, 100)).toEqual(expected);
        expect(await store.due(shard, NOW, 100, "newest")).toEqual(expected.toReversed());
      }
      const later = suggested("later", NOW + 1);
      expect(await store.due(shardOf("later"), NOW, 100)).not.toContainEqual(later);
      expect(await store.due(shardOf("later"), NOW + 1, 100)).toContainEqual(later);
    });

    it("is moved by claim and postpone, and left by remove", async () => {
      await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(await store.due(shardOf(ID), NOW, 10)).toEqual([]);
      expect(await store.due(shardOf(ID), NOW + 30_000, 10)).toMatchObject([DUE]);
      await store.postpone(REF, claimed?.rev ?? "", NOW + 60_000);
      expect(await store.due(shardOf(ID), NOW + 30_000, 10)).toEqual([]);
      await store.remove(REF, (await store.get(REF))?.rev ?? "");
      expect(await store.due(shardOf(ID), NOW + 60_000, 10)).toEqual([]);
    });

    it("is moved by expedite, cancel, hold and handBack, and left by removeHeld", async () => {
      await store.park(WAITING);
      await store.expedite(REF, NOW);
      expect(await store.due(shardOf(ID), NOW, 10)).toMatchObject([DUE]);
      await store.postpone(REF, (await store.get(REF))?.rev ?? "", NOW + 9);
      await store.cancel(REF, (await store.get(REF))?.rev ?? "", NOW);
      expect(await store.due(shardOf(ID), NOW, 10)).toMatchObject([DUE]);
      await store.park(LONG);
      expect(await store.due(shardOf(ID), NOW + 60_000, 10)).toMatchObject([DUE]);
      await store.hold(REF, RUN, NOW + 80_000);
      expect(await store.due(shardOf(ID), NOW + 60_000, 10)).toEqual([]);
      await store.handBack(REF, RUN, NOW);
      expect(await store.due(shardOf(ID), NOW, 10)).toMatchObject([DUE]);
      await store.park(LONG);
      await store.removeHeld(REF, RUN);
      expect(await store.due(shardOf(ID), NOW + 60_000, 10)).toEqual([]);
    });
  });

  describe("claim", () => {
    it("takes a due job: it is not due again before `until`", async () => {
      const rev = await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(claimed).toEqual({ ...JOB, due: NOW + 30_000, claimed: true, rev: claimed?.rev });
      expect(claimed?.rev).not.toBe(rev);
      expect(await store.get(REF)).toEqual(claimed);
      expect(await store.claim(REF, NOW + 29_999, NOW + 60_000)).toBeUndefined();
      expect(await store.claim(REF, NOW + 30_000, NOW + 60_000)).toBeDefined();
    });

    it("takes a long job from its run, in one write", async () => {
      await store.park(LONG);
      expect(await store.claim(REF, NOW + 59_999, NOW + 90_000)).toBeUndefined();
      const { run: _, ...runless } = LONG;
      const claimed = await store.claim(REF, NOW + 60_000, NOW + 90_000);
      expect(claimed).toEqual({ ...runless, due: NOW + 90_000, claimed: true, rev: claimed?.rev });
      expect(await store.get(REF)).toEqual(claimed);
      expect(await store.hold(REF, RUN, NOW + 99_000)).toBe(false);
      expect(await store.handBack(REF, RUN, NOW)).toBe(false);
      expect(await store.removeHeld(REF, RUN)).toBe(false);
      expect(await store.get(REF)).toEqual(claimed);
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
      expect(await store.get(REF)).toMatchObject({ due: NOW + 99, claimed: false, body: JOB.body });
      expect(await store.postpone(REF, rev, NOW, "another")).toBe(false);
      expect(await store.get(REF)).toMatchObject({ due: NOW + 99, body: JOB.body });
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
      expect(await store.postpone(REF, claimed?.rev ?? "", NOW + 99)).toBe(false);
      expect(await store.get(REF)).toMatchObject({ attempt: 3, due: NOW });
    });

    it("act on the rev that park answered; what is postponed may say something else then", async () => {
      const rev = (await store.park(WAITING)) ?? "";
      expect(await store.postpone(REF, rev, NOW, "another")).toBe(true);
      expect(await store.get(REF)).toMatchObject({ ...WAITING, due: NOW, body: "another" });
    });
  });

  describe("expedite", () => {
    it("brings a later `due` to now", async () => {
      const rev = await store.park(WAITING);
      expect(await store.expedite(REF, NOW)).toBe("expedited");
      const waked = await store.get(REF);
      expect(waked).toEqual({ ...WAITING, due: NOW, claimed: false, rev: waked?.rev });
      expect(waked?.rev).not.toBe(rev);
    });

    it("leaves what is due anyway", async () => {
      const rev = await store.park({ ...WAITING, due: NOW });
      expect(await store.expedite(REF, NOW)).toBe("on_its_way");
      expect(await store.expedite(REF, NOW + 5)).toBe("on_its_way");
      expect(await store.get(REF)).toMatchObject({ due: NOW, rev });
    });

    it("leaves what a pump has, until the pump puts it off", async () => {
      await store.park({ ...WAITING, due: NOW });
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(await store.expedite(REF, NOW)).toBe("on_its_way");
      expect(await store.get(REF)).toEqual(claimed);
      await store.postpone(REF, claimed?.rev ?? "", NOW + 5_000);
      expect(await store.expedite(REF, NOW)).toBe("expedited");
    });

    it("finds none where there is no item, and makes none", async () => {
      expect(await store.expedite(REF, NOW)).toBe("gone");
      expect(await store.get(REF)).toBeUndefined();
    });

    it.each(["outbox", "delayed", "retry", "snoozed", "unknown_name", "suspect", "long", "cancelled"] as const)(
      "leaves one that is parked for another reason: %s",
      async (reason) => {
        const rev = await store.park({ ...LONG, reason });
        expect(await store.expedite(REF, NOW)).toBe("gone");
        expect(await store.expedite(REF, LONG.due)).toBe("gone");
        expect(await store.get(REF)).toEqual({ ...LONG, reason, claimed: false, rev });
      },
    );

    it("is done by one of many", async () => {
      await store.park(WAITING);
      const answers = await Promise.all(Array.from({ length: 32 }, () => store.expedite(REF, NOW)));
      expect(answers.filter((answer) => answer === "expedited")).toHaveLength(1);
      expect(answers.filter((answer) => answer === "on_its_way")).toHaveLength(31);
    });
  });

  describe("cancel", () => {
    it("makes it a cancelled one, due now, on the rev that was read", async () => {
      const rev = (await store.park({ ...JOB, due: NOW + 60_000 })) ?? "";
      expect(await store.cancel(REF, "another", NOW)).toBe(false);
      expect(await store.cancel(REF, rev, NOW)).toBe(true);
      const cancelled = await store.get(REF);
      expect(cancelled).toEqual({ ...JOB, reason: "cancelled", due: NOW, claimed: false, rev: cancelled?.rev });
      expect(cancelled?.rev).not.toBe(rev);
      expect(await store.cancel(REF, rev, NOW)).toBe(false);
      expect(await store.cancel({ ...REF, id: "gone" }, rev, NOW)).toBe(false);
      expect(await store.get({ ...REF, id: "gone" })).toBeUndefined();
    });

    it("wins over a pump that has it: the pump can't delete it", async () => {
      await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(await store.cancel(REF, claimed?.rev ?? "", NOW)).toBe(true);
      expect(await store.remove(REF, claimed?.rev ?? "")).toBe(false);
      expect(await store.postpone(REF, claimed?.rev ?? "", NOW + 1)).toBe(false);
      expect(await store.get(REF)).toMatchObject({ reason: "cancelled", due: NOW, claimed: false });
    });

    it("does not touch a long one, held or given up", async () => {
      const rev = (await store.park(LONG)) ?? "";
      expect(await store.cancel(REF, rev, NOW)).toBe(false);
      expect(await store.get(REF)).toEqual({ ...LONG, claimed: false, rev });
      await store.handBack(REF, RUN, NOW);
      expect(await store.cancel(REF, (await store.get(REF))?.rev ?? "", NOW)).toBe(false);
      expect((await store.get(REF))?.reason).toBe("long");
    });

    it("is had by one of many", async () => {
      const rev = (await store.park(JOB)) ?? "";
      const answers = await Promise.all(Array.from({ length: 32 }, () => store.cancel(REF, rev, NOW)));
      expect(answers.filter((answer) => answer)).toHaveLength(1);
    });
  });

  describe("touch", () => {
    it("finds the item of this or a later attempt, and keeps a pump from removing it", async () => {
      await store.park(JOB);
      const claimed = await store.claim(REF, NOW, NOW + 30_000);
      expect(await store.touch(REF, at(1))).toMatchObject(REF);
      expect(await store.touch(REF, at(2))).toEqual(await store.get(REF));
      expect(await store.remove(REF, claimed?.rev ?? "")).toBe(false);
      expect(await store.get(REF)).toMatchObject({ attempt: 2, due: NOW + 30_000, claimed: true });
    });

    it("finds none of an earlier attempt, nor one that is gone, and makes none", async () => {
      await store.park(JOB);
      expect(await store.touch(REF, at(3))).toBeUndefined();
      expect(await store.touch({ ...REF, id: "gone" }, at(1))).toBeUndefined();
      expect(await store.get({ ...REF, id: "gone" })).toBeUndefined();
    });

    it("leaves a long one to its run", async () => {
      await store.park(LONG);
      expect(await store.touch(REF, at(2))).toMatchObject({ reason: "long", run: RUN });
      expect(await store.hold(REF, RUN, NOW + 80_000)).toBe(true);
    });
  });

  describe("a long job's run", () => {
    it("moves its `due`, for as long as the job is its own", async () => {
      const rev = await store.park(LONG);
      expect(await store.hold(REF, RUN, NOW + 80_000)).toBe(true);
      expect(await store.hold(REF, RUN, NOW + 90_000)).toBe(true);
      const held = await store.get(REF);
      expect(held).toEqual({ ...LONG, due: NOW + 90_000, claimed: false, rev: held?.rev });
      expect(held?.rev).not.toBe(rev);
      expect(await store.hold(REF, "boot-2.1", NOW)).toBe(false);
      expect(await store.get(REF)).toEqual(held);
    });

    it("gives it up: due, and held by nobody", async () => {
      await store.park(LONG);
      expect(await store.handBack(REF, "boot-2.1", NOW)).toBe(false);
      expect(await store.handBack(REF, RUN, NOW)).toBe(true);
      const back = await store.get(REF);
      const { run: _, ...runless } = LONG;
      expect(back).toEqual({ ...runless, due: NOW, claimed: false, rev: back?.rev });
      expect(await store.handBack(REF, RUN, NOW)).toBe(false);
      expect(await store.hold(REF, RUN, NOW)).toBe(false);
      expect(await store.removeHeld(REF, RUN)).toBe(false);
      expect(await store.get(REF)).toEqual(back);
    });

    it("removes it at its end, once", async () => {
      await store.park(LONG);
      expect(await store.removeHeld(REF, "boot-2.1")).toBe(false);
      expect(await store.removeHeld(REF, RUN)).toBe(true);
      expect(await store.get(REF)).toBeUndefined();
      expect(await store.removeHeld(REF, RUN)).toBe(false);
    });

    it("has no say over what is held by nobody, or not there, and makes nothing", async () => {
      for (const ask of [() => store.hold(REF, RUN, NOW), () => store.handBack(REF, RUN, NOW), () => store.removeHeld(REF, RUN)]) {
        expect(await ask()).toBe(false);
        expect(await store.get(REF)).toBeUndefined();
      }
      const rev = await store.park(JOB);
      expect(await store.hold(REF, RUN, NOW + 9)).toBe(false);
      expect(await store.handBack(REF, RUN, NOW + 9)).toBe(false);
      expect(await store.removeHeld(REF, RUN)).toBe(false);
      expect(await store.get(REF)).toEqual({ ...JOB, claimed: false, rev });
    });

    it("and a pump do not both have it", async () => {
      await store.park({ ...LONG, due: NOW });
      const [held, claimed] = await Promise.all([store.hold(REF, RUN, NOW + 60_000), store.claim(REF, NOW, NOW + 30_000)]);
      expect(held).toBe(claimed === undefined);
      expect(await store.get(REF)).toMatchObject(held ? { run: RUN, due: NOW + 60_000 } : { claimed: true, due: NOW + 30_000 });
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
