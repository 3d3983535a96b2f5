import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/contract/limits.ts";
import type { CancelStore } from "../../../core/job/cancels.ts";
import type { Make, TestClock } from "./world.ts";

const P = "acme.corp-1";
const ID = "0192f3a4-1.2:x-9";
/** Enqueued long before all markers. */
const LIFE = { job: ID, enqueuedAt: 1_000 };

/** @param bound how many markers of one partition the stores of `make` take; the system's own is 10,000 */
export function cancelStoreSuite(make: Make<CancelStore>, bound: number): void {
  let store: CancelStore;
  let clock: TestClock;
  beforeEach(async () => {
    ({ store, clock } = await make());
  });

  const mark = (id = ID, partition = P) => store.mark(partition, id, clock.now());
  const ids = async (partition = P) => (await store.list(partition)).map(({ id }) => id).sort();
  const names = (n: number) => Array.from({ length: n }, (_, i) => `job-${String(i).padStart(5, "0")}`);

  describe("mark", () => {
    it("puts a marker with its time, in its partition", async () => {
      expect(await store.get(P, ID)).toBeUndefined();
      expect(await store.list(P)).toEqual([]);
      expect(await mark()).toBe(true);
      const marker = { id: ID, at: clock.now(), rev: expect.any(String), seq: clock.now() };
      expect(await store.get(P, ID)).toEqual(marker);
      expect(await store.list(P)).toEqual([marker]);
      expect(await store.list("other")).toEqual([]);
      expect(await store.get("other", ID)).toBeUndefined();
    });

    it("gives one that is there the newer time, and never an older", async () => {
      const first = clock.now();
      await store.mark(P, ID, first);
      expect(await store.mark(P, ID, first + 5)).toBe(true);
      expect(await store.mark(P, ID, first + 2)).toBe(true);
      expect(await store.list(P)).toMatchObject([{ id: ID, at: first + 5 }]);
    });

    it("gives each wish a number above the last, also once the marker has lapsed", async () => {
      const seqs: (number | undefined)[] = [];
      const note = async (at = clock.now()) => {
        await store.mark(P, ID, at);
        seqs.push((await store.get(P, ID))?.seq);
      };
      for (const at of [5, 5, 3, 7]) await note(at);
      clock.advance(LIMITS.cancelKeepMs + 1_000);
      await note();
      await note();
      expect(seqs).not.toContain(undefined);
      expect(seqs).toEqual([...new Set(seqs)].sort((a = 0, b = 0) => a - b));
      expect(await store.list(P)).toMatchObject([{ seq: seqs.at(-1) }]);
    });

    it("forgets it after 7 days, however far ahead its time lies", async () => {
      await store.mark(P, ID, Number.MAX_SAFE_INTEGER);
      clock.advance(LIMITS.cancelKeepMs - 1_000);
      expect(await store.get(P, ID)).toBeDefined();
      clock.advance(2_000);
      expect(await store.get(P, ID)).toBeUndefined();
      expect(await store.list(P)).toEqual([]);
    });

    it("keeps the hit of one that is there", async () => {
      await mark();
      expect(await store.hit(P, LIFE, "run-1")).toBe(true);
      clock.advance(1_000);
      expect(await mark()).toBe(true);
      expect(await store.hit(P, LIFE, "run-2")).toBe(false);
    });

    it("of one job by many leaves one marker, with the newest time", async () => {
      const now = clock.now();
      const answers = await Promise.all(Array.from({ length: 32 }, (_, i) => store.mark(P, ID, now + ((i * 7) % 32))));
      expect(answers).not.toContain(false);
      expect(await store.list(P)).toMatchObject([{ id: ID, at: now + 31 }]);
    });
  });

  describe("the bound", () => {
    it("of markers is per partition; beyond it nothing is written", async () => {
      for (const id of names(bound)) expect(await mark(id)).toBe(true);
      expect(await mark("one-more")).toBe(false);
      expect(await mark("one-more")).toBe(false);
      expect(await store.get(P, "one-more")).toBeUndefined();
      expect(await ids()).toEqual(names(bound));
      expect(await mark("one-more", "other")).toBe(true);
    });

    it("does not keep a marker that is there from its newer time, nor from its hit", async () => {
      for (const id of names(bound)) await mark(id);
      clock.advance(1);
      expect(await mark("job-00000")).toBe(true);
      expect((await store.get(P, "job-00000"))?.at).toBe(clock.now());
      expect(await store.hit(P, { ...LIFE, job: "job-00001" }, "run-3")).toBe(true);
      expect(await mark("one-more")).toBe(false);
    });

    it("is not used up by marking the same jobs again and again", async () => {
      for (let i = 0; i < 2 * bound; i++) {
        clock.advance(1);
        expect(await mark(`job-${i % 2}`)).toBe(true);
      }
      await Promise.all(Array.from({ length: bound }, () => mark("job-2")));
      for (const id of names(bound - 3)) expect(await mark(id)).toBe(true);
      expect(await mark("one-more")).toBe(false);
    });

    it("counts only what has not lapsed", async () => {
      const [first = "", ...rest] = names(bound);
      await mark(first);
      clock.advance(LIMITS.cancelKeepMs / 2);
      for (const id of rest) await mark(id);
      expect(await mark("one-more")).toBe(false);
      clock.advance(LIMITS.cancelKeepMs / 2 + 1_000);
      expect(await mark("one-more")).toBe(true);
      expect(await mark("and-another")).toBe(false);
      clock.advance(LIMITS.cancelKeepMs / 2 + 1_000);
      expect(await ids()).toEqual(["one-more"]);
      for (const id of rest) expect(await mark(id)).toBe(true);
      expect(await mark("and-another")).toBe(false);
    });

    it("holds when many come at once", async () => {
      const answers = await Promise.all(names(bound + 12).map((id) => mark(id)));
      expect(answers.filter((taken) => taken)).toHaveLength(bound);
      expect(await store.list(P)).toHaveLength(bound);
    });
  });

  describe("a marker", () => {
    it("is forgotten after 7 days, with its hit, whether or not it is still in the table", async () => {
      await mark();
      await store.hit(P, LIFE, "run-4");
      clock.advance(LIMITS.cancelKeepMs - 1_000);
      expect(await ids()).toEqual([ID]);
      clock.advance(2_000);
      expect(await store.get(P, ID)).toBeUndefined();
      expect(await store.list(P)).toEqual([]);
      expect(await store.hit(P, LIFE, "run-5")).toBe(false);
      expect(await mark()).toBe(true);
      expect(await store.list(P)).toMatchObject([{ id: ID, at: clock.now() }]);
      expect(await store.hit(P, LIFE, "run-6")).toBe(true);
    });

    it("lasts 7 days from its newer time", async () => {
      await mark();
      clock.advance(LIMITS.cancelKeepMs - 1_000);
      await mark();
      clock.advance(LIMITS.cancelKeepMs - 1_000);
      expect(await ids()).toEqual([ID]);
    });
  });

  describe("pardon", () => {
    const found = () => store.get(P, ID);

    it("is said of the wish that was overruled, until the next one, and changes nothing else", async () => {
      await mark();
      await store.hit(P, LIFE, "run-1");
      const before = await found();
      await store.pardon(P, ID, before?.rev ?? "");
      expect(await found()).toEqual({ ...before, pardoned: true });
      expect(await store.list(P)).toEqual([{ ...before, pardoned: true }]);
      expect(await store.hit(P, LIFE, "run-2")).toBe(false);
      await mark();
      const anew = await found();
      expect(anew).toMatchObject({ hitLife: LIFE.enqueuedAt });
      expect(anew).not.toHaveProperty("pardoned");
      await store.pardon(P, ID, before?.rev ?? "");
      expect(await found()).toEqual(anew);
      await store.pardon(P, ID, anew?.rev ?? "");
      await store.pardon(P, ID, before?.rev ?? "");
      expect(await found()).toEqual({ ...anew, pardoned: true });
    });

    it("makes no marker where there is none", async () => {
      await store.pardon(P, ID, "r");
      expect(await store.list(P)).toEqual([]);
      await mark();
      await store.pardon(P, "another", (await found())?.rev ?? "");
      expect(await store.list(P)).toEqual([expect.not.objectContaining({ pardoned: true })]);
    });
  });

  describe("hit", () => {
    it("is for one caller ever, and leaves the marker", async () => {
      await mark();
      expect(await store.hit(P, LIFE, "run-7")).toBe(true);
      expect(await store.hit(P, LIFE, "run-7")).toBe(true);
      expect(await store.hit(P, LIFE, "run-8")).toBe(false);
      expect(await store.get(P, ID)).toMatchObject({ id: ID, at: clock.now(), hitLife: 1_000 });
      expect(await store.list(P)).toMatchObject([{ id: ID, at: clock.now() }]);
    });

    it("finds none where there is no marker, and makes none", async () => {
      expect(await store.hit(P, LIFE, "run-9")).toBe(false);
      expect(await store.list(P)).toEqual([]);
      await mark();
      expect(await store.hit(P, { ...LIFE, job: "another" }, "run-10")).toBe(false);
      expect(await store.hit("other", LIFE, "run-11")).toBe(false);
      expect(await store.hit(P, LIFE, "run-12")).toBe(true);
    });

    it("is had by one of many", async () => {
      await mark();
      const answers = await Promise.all(Array.from({ length: 32 }, (_, i) => store.hit(P, LIFE, `run-${i}`)));
      expect(answers.filter((first) => first)).toHaveLength(1);
    });
  });
}
