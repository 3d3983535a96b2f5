import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/contract/limits.ts";
import type { BuriedStore } from "../../../core/job/buried.ts";
import { type CancelStore, EVERY_LIFE, hits, pardonOf } from "../../../core/job/cancels.ts";
import type { JobLife } from "../../../core/job/life.ts";
import { type ParkedReason, type ParkedStore, parkedJob } from "../../../core/job/parked.ts";
import type { QueueKeyStore } from "../../../core/keys/queue-key-store.ts";
import type { RunIdentity } from "../../../core/keys/runs.ts";
import type { Make, TestClock } from "./world.ts";

interface Stores {
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly queueKeys: QueueKeyStore;
  readonly cancels: CancelStore;
}

const ID = "order-7";
const PARTITION = "acme";
const REF = { partition: PARTITION, id: ID };
const KEY = { partition: PARTITION, key: `id:${ID}` };
const FIRST: JobLife = { job: ID, enqueuedAt: 1_900_000_000_000 };
/** Enqueued anew, once the end of the first was forgotten. */
const SECOND: JobLife = { job: ID, enqueuedAt: FIRST.enqueuedAt + 2 * LIMITS.doneKeyMs };

const envelopeOf = ({ job, enqueuedAt }: JobLife, attempt = 1) =>
  ({
    v: 1,
    id: job,
    name: "mail",
    args: {},
    partition: PARTITION,
    queue: "default",
    queue_key: KEY.key,
    attempt,
    enqueued_at: enqueuedAt,
  }) as const;
const runOf = (life: JobLife, n = 1): RunIdentity => ({ ...life, run: `boot/${n}`, task: "boot" });

/** What is written of one life of an id is never taken for another's. */
export function livesSuite(make: Make<Stores>): void {
  let store: Stores;
  let clock: TestClock;
  beforeEach(async () => {
    ({ store, clock } = await make());
  });

  const itemOf = (life: JobLife, reason: ParkedReason = "outbox", attempt = 1) =>
    parkedJob(envelopeOf(life, attempt), { reason, due: clock.now(), since: clock.now() });
  const park = (life: JobLife, reason?: ParkedReason, attempt?: number) => store.parked.park(itemOf(life, reason, attempt));
  const claim = (life: JobLife, attempt = 1) =>
    store.queueKeys.claim(KEY, { outbox: itemOf(life, "outbox", attempt), due: clock.now(), now: clock.now(), takeDone: false });
  const key = () => store.queueKeys.get(KEY);

  describe("a queue key", () => {
    it("tells whose life has it, whoever took it", async () => {
      await claim(FIRST);
      expect(await key()).toMatchObject({ jobId: ID, enqueuedAt: FIRST.enqueuedAt, queue: "default" });
      await store.queueKeys.begin(KEY, { ...runOf(FIRST), queue: "default" }, 1, clock.now());
      await store.queueKeys.finish(KEY, "boot/1", clock.now() + 1_000);
      expect(await key()).toMatchObject({ state: "done", enqueuedAt: FIRST.enqueuedAt, queue: "default" });
      clock.advance(1_000);
      await store.queueKeys.begin(KEY, runOf(SECOND), 1, clock.now());
      expect(await key()).toMatchObject({ state: "running", enqueuedAt: SECOND.enqueuedAt });
      // This run did not tell its queue, and that of the first is not its own.
      expect(await key()).not.toHaveProperty("queue");
    });

    it("of the second is not begun, told or freed by what is left of the first", async () => {
      await claim(SECOND);
      expect(await store.queueKeys.published(KEY, FIRST)).toBe(false);
      expect(await store.queueKeys.release(KEY, FIRST, 99, clock.now() + 1_000)).toBe(false);
      expect(await store.queueKeys.begin(KEY, runOf(FIRST), 99, clock.now())).toMatchObject({ began: false });
      expect(await key()).toMatchObject({ state: "publishing", enqueuedAt: SECOND.enqueuedAt });
      expect(await store.queueKeys.published(KEY, SECOND)).toBe(true);
      expect(await store.queueKeys.release(KEY, FIRST, 99, clock.now() + 1_000)).toBe(false);
      expect(await store.queueKeys.begin(KEY, runOf(FIRST), 99, clock.now())).toMatchObject({ began: false });
      expect(await store.queueKeys.begin(KEY, runOf(SECOND, 2), 1, clock.now())).toEqual({ began: true });
      // A run of the second that is given up for dead: to the first it is a stranger's all the same.
      expect(await store.queueKeys.begin(KEY, runOf(FIRST), 99, clock.now(), "boot/2")).toMatchObject({ began: false });
      expect(await store.queueKeys.release(KEY, FIRST, 99, clock.now() + 1_000, "boot/2")).toBe(false);
    });

    it("that is done is claimed by a later attempt of the same life only", async () => {
      await claim(SECOND);
      await store.queueKeys.release(KEY, SECOND, 1, clock.now() + 1_000);
      expect(await claim(FIRST, 9)).toMatchObject({ claimed: false, holder: { enqueuedAt: SECOND.enqueuedAt } });
      expect(await claim(SECOND, 2)).toEqual({ claimed: true });
    });
  });

  describe("a queue key whose end is forgotten, barred to late copies", () => {
    const ANOTHER: JobLife = { job: "another", enqueuedAt: FIRST.enqueuedAt };
    const memory = () => clock.now() + LIMITS.doneKeyMs;
    const bar = (life = FIRST, attempt = 1) => store.queueKeys.bar(KEY, life, { attempt, now: clock.now(), until: memory() });
    const begin = (life: JobLife, attempt = 1) => store.queueKeys.begin(KEY, runOf(life), attempt, clock.now());
    const done = (life: JobLife) => ({ jobId: life.job, enqueuedAt: life.enqueuedAt, state: "done", attempt: 1, until: memory() });

    it.each([
      ["that is not there", async () => {}],
      [
        "whose memory has lapsed, whoever's it was",
        async () => {
          await begin(ANOTHER);
          await store.queueKeys.finish(KEY, "boot/1", clock.now());
        },
      ],
    ])("is one %s; no run of it begins, for as long as it is asked", async (_, prepare) => {
      await prepare();
      expect(await bar()).toBe(true);
      const barred = { ...done(FIRST), forgotten: true };
      expect(await key()).toEqual(barred);
      expect(await begin(FIRST, 9)).toEqual({ began: false, found: barred });
      clock.advance(LIMITS.doneKeyMs);
      expect(await key()).toBeUndefined();
      expect(await begin(FIRST)).toEqual({ began: true });
      expect(await key()).toEqual({ jobId: ID, enqueuedAt: FIRST.enqueuedAt, state: "running", attempt: 1, run: "boot/1", task: "boot" });
    });

    it.each([
      ["its id, enqueued anew", SECOND],
      ["another job", ANOTHER],
    ])("is free to %s, which leaves an end like any other", async (_, life) => {
      await bar();
      expect(await claim(life)).toEqual({ claimed: true });
      expect(await key()).toMatchObject({ jobId: life.job, enqueuedAt: life.enqueuedAt, state: "publishing" });
      await store.queueKeys.release(KEY, life, 1, memory());
      expect(await key()).toEqual({ ...done(life), queue: "default" });
      expect(await claim(SECOND)).toMatchObject({ claimed: false });
    });

    it.each([
      ["a later life", SECOND],
      ["another job", ANOTHER],
    ])("is refused to a run of %s, which has not claimed it: a late copy, too", async (_, life) => {
      await bar();
      const barred = { ...done(FIRST), forgotten: true };
      expect(await begin(life)).toEqual({ began: false, found: barred });
      expect(await bar(life)).toBe(false);
      expect(await key()).toEqual(barred);
    });

    it("is none that is there, or remembered: nothing changes", async () => {
      await claim(SECOND);
      const publishing = await key();
      expect(await bar()).toBe(false);
      expect(await key()).toEqual(publishing);
      await begin(SECOND);
      expect(await bar(SECOND)).toBe(false);
      await store.queueKeys.finish(KEY, "boot/1", memory());
      expect(await bar(SECOND)).toBe(false);
      expect(await key()).toEqual(done(SECOND));
    });

    it("is not begun in the same instant", async () => {
      const [barred, { began }] = await Promise.all([bar(), begin(FIRST)]);
      expect(barred).toBe(!began);
      expect((await key())?.state).toBe(began ? "running" : "done");
    });
  });

  describe("a parked item", () => {
    it("of the first is replaced by the second, whatever its attempt", async () => {
      await park(FIRST, "retry", 5);
      expect(await park(SECOND, "retry")).toBeDefined();
      expect(await store.parked.get(REF)).toMatchObject({ enqueuedAt: SECOND.enqueuedAt, attempt: 1 });
    });

    it("of the second is not replaced by the first, whatever its attempt", async () => {
      await park(SECOND);
      for (const reason of ["outbox", "suspect", "waiting", "cancelled"] as const) expect(await park(FIRST, reason, 5)).toBeUndefined();
      expect(await store.parked.get(REF)).toMatchObject({ enqueuedAt: SECOND.enqueuedAt, reason: "outbox" });
    });

    it("of the first that is cancelled gives way to no new job, but to one that has been under way", async () => {
      await park(FIRST, "cancelled", 3);
      expect(await park(SECOND, "outbox")).toBeUndefined();
      expect(await park(SECOND, "delayed")).toBeUndefined();
      expect(await park(SECOND, "retry", 2)).toBeDefined();
    });

    it("that is cancelled gives way to its own life, as ever", async () => {
      await park(FIRST, "cancelled", 3);
      expect(await park(FIRST, "outbox", 4)).toBeDefined();
    });

    it("is the outcome of its own life's redelivery only", async () => {
      await park(FIRST, "retry", 2);
      expect(await store.parked.touch(REF, { enqueuedAt: SECOND.enqueuedAt, attempt: 1 })).toBeUndefined();
      expect(await store.parked.touch(REF, { enqueuedAt: FIRST.enqueuedAt, attempt: 1 })).toMatchObject({ attempt: 2 });
    });
  });

  describe("a buried job", () => {
    const bury = async (life: JobLife, attempt = 1) => {
      const error = { name: "Error", message: "no" };
      const { due: _, since: __, ...item } = itemOf(life, "retry", attempt);
      await store.buried.bury({ ...item, reason: "failed", buriedAt: clock.now(), error, history: [] });
      return (await store.buried.get(PARTITION, ID))?.body;
    };
    const bodyOf = (life: JobLife, attempt = 1) => itemOf(life, "retry", attempt).body;

    it("is replaced by a later life's, or a later attempt", async () => {
      await bury(FIRST, 2);
      expect(await bury(FIRST, 2)).toBe(bodyOf(FIRST, 2));
      expect(await bury(FIRST, 3)).toBe(bodyOf(FIRST, 3));
      expect(await bury(SECOND)).toBe(bodyOf(SECOND));
      expect(await store.buried.get(PARTITION, ID)).toMatchObject({ enqueuedAt: SECOND.enqueuedAt, attempt: 1 });
    });

    it("stays when a copy of what was before is buried late", async () => {
      await bury(SECOND, 2);
      expect(await bury(SECOND, 1)).toBe(bodyOf(SECOND, 2));
      expect(await bury(FIRST, 9)).toBe(bodyOf(SECOND, 2));
    });
  });

  describe("a cancel marker", () => {
    const markerOf = async () => {
      const mark = await store.cancels.get(PARTITION, ID);
      if (mark === undefined) throw new Error("no marker");
      return mark;
    };

    it("hits the lives that were enqueued before its time", async () => {
      await store.cancels.mark(PARTITION, ID, FIRST.enqueuedAt + 1);
      expect(hits(await markerOf(), envelopeOf(FIRST))).toBe(true);
      expect(hits(await markerOf(), envelopeOf(SECOND))).toBe(false);
    });

    it("for an id of ours hits whatever its time, but no caller's own; a life's own time goes before", async () => {
      await store.cancels.mark(PARTITION, ID, EVERY_LIFE);
      const { queue_key: _, ...ours } = envelopeOf(SECOND);
      expect(hits(await markerOf(), ours)).toBe(true);
      expect(hits(await markerOf(), envelopeOf(FIRST))).toBe(false);
      await store.cancels.mark(PARTITION, ID, FIRST.enqueuedAt + 1);
      await store.cancels.mark(PARTITION, ID, EVERY_LIFE);
      expect(hits(await markerOf(), envelopeOf(FIRST))).toBe(true);
    });

    const { queue_key: _, ...ours } = envelopeOf(FIRST);
    const markEveryLife = async () => {
      await store.cancels.mark(PARTITION, ID, EVERY_LIFE);
      return markerOf();
    };
    const pardoned = async () => ({ ...ours, ...pardonOf(await store.cancels.get(PARTITION, ID), clock.now()) });

    it("that a person's retry has overruled hits no more, nor what was before it, until somebody cancels anew", async () => {
      const before = [await markEveryLife(), await markEveryLife(), await markEveryLife()];
      const revived = await pardoned();
      for (const marker of before) {
        expect(hits(marker, ours)).toBe(true);
        expect(hits(marker, revived)).toBe(false);
      }
      expect(hits(await markEveryLife(), revived)).toBe(true);
    });

    it("that has lapsed, and that a task knows still, is overruled with it; one that is put then is not", async () => {
      const lapsed = [await markEveryLife(), await markEveryLife()];
      const known = await pardoned();
      clock.advance(LIMITS.cancelKeepMs + 1_000);
      const revived = await pardoned();
      for (const marker of lapsed) expect(hits(marker, revived)).toBe(false);
      const anew = await markEveryLife();
      expect(hits(anew, revived)).toBe(true);
      expect(hits(anew, known)).toBe(true);
    });

    it("of an older build has no number: the retry that found it overrules that one", async () => {
      const { seq: _, ...numberless } = await markEveryLife();
      const revived = { ...ours, ...pardonOf(numberless, clock.now()) };
      expect(hits(numberless, revived)).toBe(false);
      expect(hits({ ...numberless, rev: "another" }, revived)).toBe(true);
      expect(hits(await markEveryLife(), revived)).toBe(true);
      // A wish of an older build's leaves the number of the one that it takes the place of.
      const numbered = await markerOf();
      expect(hits({ ...numbered, rev: "another" }, await pardoned())).toBe(true);
      // An envelope that an older build has revived names its marker only.
      expect(hits(numbered, { ...ours, pardoned: numbered.rev })).toBe(false);
    });

    it("is hit once in each life", async () => {
      await store.cancels.mark(PARTITION, ID, FIRST.enqueuedAt + 1);
      expect(await store.cancels.hit(PARTITION, SECOND, "run-0")).toBe(false);
      expect(await store.cancels.hit(PARTITION, FIRST, "run-1")).toBe(true);
      expect(await markerOf()).toMatchObject({ hitLife: FIRST.enqueuedAt });
      await store.cancels.mark(PARTITION, ID, SECOND.enqueuedAt + 1);
      expect(await store.cancels.hit(PARTITION, FIRST, "run-2")).toBe(false);
      expect(await store.cancels.hit(PARTITION, SECOND, "run-1")).toBe(true);
      expect(await store.cancels.hit(PARTITION, SECOND, "run-1")).toBe(true);
      expect(await store.cancels.hit(PARTITION, SECOND, "run-2")).toBe(false);
      expect(await store.cancels.hit(PARTITION, FIRST, "run-3")).toBe(false);
      expect(await markerOf()).toMatchObject({ hitLife: SECOND.enqueuedAt });
    });
  });
}
