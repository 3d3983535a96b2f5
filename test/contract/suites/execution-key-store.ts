import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/contract/limits.ts";
import { forEachWithin } from "../../../core/contract/window.ts";
import type { JobLife } from "../../../core/job/life.ts";
import type { ExecutionKeyRef, ExecutionKeyStore } from "../../../core/keys/execution-key-store.ts";
import type { RunIdentity } from "../../../core/keys/runs.ts";
import type { Make, TestClock } from "./world.ts";

const REF: ExecutionKeyRef = { partition: "acme.corp-1", key: "customer:7 # é\u0000/" };
const DAY_MS = 24 * 3600 * 1000;

const run = (n: number, job = `job-${n}`): RunIdentity => ({ job, enqueuedAt: 1, run: `boot-${n}.1`, task: `boot-${n}` });
const ME = run(1);
const OTHER = run(2);

export function executionKeyStoreSuite(make: Make<ExecutionKeyStore>): void {
  let store: ExecutionKeyStore;
  let clock: TestClock;
  beforeEach(async () => {
    ({ store, clock } = await make());
  });

  const acquire = (me = ME, instead?: string) => store.acquire(REF, me, clock.now(), instead);
  const tokenOf = async (me: RunIdentity, instead?: string) => {
    const answer = await acquire(me, instead);
    if (!answer.acquired) throw new Error(`${me.run} did not get the key`);
    return answer.token;
  };
  const reservation = (job: string) => ({ job, until: clock.now() + LIMITS.reservationMs });

  describe("acquire", () => {
    it("makes a lock that is not there; its token starts at epoch ms", async () => {
      expect(await store.read(REF)).toBeUndefined();
      const token = await tokenOf(ME);
      expect(token).toBeGreaterThanOrEqual(clock.now());
      expect(token).toBeLessThanOrEqual(clock.now() + 1);
      expect(await store.read(REF)).toEqual({ holder: ME.job, run: ME.run, task: ME.task, token });
    });

    it("keeps keys and partitions apart, whatever the key's text", async () => {
      await acquire();
      for (const ref of [
        { ...REF, partition: "other" },
        { ...REF, key: "" },
        { ...REF, key: `${REF.key}x` },
        { ...REF, key: "x".repeat(512) },
      ]) {
        expect(await store.read(ref)).toBeUndefined();
        expect(await store.acquire(ref, OTHER, clock.now())).toMatchObject({ acquired: true });
      }
      expect(await store.read(REF)).toMatchObject({ run: ME.run });
    });

    it("is refused while a run holds it, and tells of the lock", async () => {
      const token = await tokenOf(ME);
      const lock = { holder: ME.job, run: ME.run, task: ME.task, token };
      expect(await acquire(OTHER)).toEqual({ acquired: false, lock });
      expect(await acquire(run(2, ME.job))).toEqual({ acquired: false, lock });
      expect(await store.read(REF)).toEqual(lock);
    });

    it("answers the same when it is asked again: the token has not moved", async () => {
      const token = await tokenOf(ME);
      expect(await acquire()).toEqual({ acquired: true, token });
      expect((await store.read(REF))?.token).toBe(token);
    });

    it("takes it instead of the run that is named, no other", async () => {
      const token = await tokenOf(ME);
      expect(await acquire(OTHER, "boot-9.9")).toMatchObject({ acquired: false, lock: { run: ME.run } });
      expect(await tokenOf(OTHER, ME.run)).toBeGreaterThan(token);
      expect(await store.read(REF)).toMatchObject({ holder: OTHER.job, run: OTHER.run, task: OTHER.task });
      expect(await acquire(run(3), ME.run)).toMatchObject({ acquired: false, lock: { run: OTHER.run } });
    });

    it("instead of a run that has left it meanwhile, follows the reservation", async () => {
      await acquire();
      await store.release(REF, ME.run, reservation("job-3"));
      expect(await acquire(OTHER, ME.run)).toMatchObject({ acquired: false, lock: { reserved: "job-3" } });
      expect(await acquire(run(3), ME.run)).toMatchObject({ acquired: true });
    });

    it("takes a free one, for whom it is reserved or when the reservation has lapsed, to the millisecond", async () => {
      await acquire();
      await store.release(REF, ME.run, reservation(OTHER.job));
      const { token } = (await store.read(REF)) ?? { token: 0 };
      const lock = { token, reserved: OTHER.job, reservedUntil: clock.now() + LIMITS.reservationMs };
      expect(await store.read(REF)).toEqual(lock);
      expect(await acquire(run(3))).toEqual({ acquired: false, lock });
      clock.advance(LIMITS.reservationMs - 1);
      expect(await acquire(run(3))).toEqual({ acquired: false, lock });
      clock.advance(1);
      const taken = await tokenOf(run(3));
      expect(await store.read(REF)).toEqual({ holder: "job-3", run: "boot-3.1", task: "boot-3", token: taken });
    });

    it("by whom it is reserved for drops the reservation", async () => {
      await acquire();
      await store.release(REF, ME.run, reservation(OTHER.job));
      const token = await tokenOf(OTHER);
      expect(await store.read(REF)).toEqual({ holder: OTHER.job, run: OTHER.run, task: OTHER.task, token });
    });

    it("raises the token each time, after days of rest, too", async () => {
      let last = 0;
      for (let i = 0; i < 5; i++) {
        const token = await tokenOf(run(i));
        expect(token).toBeGreaterThan(last);
        last = token;
        await store.release(REF, run(i).run);
        if (i >= 2) clock.advance(2 * DAY_MS);
      }
    });

    it("is had by one of many", async () => {
      const answers = await Promise.all(Array.from({ length: 32 }, (_, i) => acquire(run(i))));
      expect(answers.filter(({ acquired }) => acquired)).toHaveLength(1);
      const winner = answers.findIndex(({ acquired }) => acquired);
      expect(await store.read(REF)).toMatchObject({ run: run(winner).run });
    });

    it("is had by one of many when it is free, and by one that takes over from the dead", async () => {
      await acquire();
      await store.release(REF, ME.run);
      const free = await Promise.all(Array.from({ length: 32 }, (_, i) => acquire(run(i))));
      expect(free.filter(({ acquired }) => acquired)).toHaveLength(1);
      const holder = (await store.read(REF))?.run ?? "";
      const taken = await Promise.all(Array.from({ length: 32 }, (_, i) => acquire(run(i + 100), holder)));
      expect(taken.filter(({ acquired }) => acquired)).toHaveLength(1);
    });
  });

  describe("release", () => {
    it("frees the lock, without a reservation or with one, and keeps the token", async () => {
      const token = await tokenOf(ME);
      expect(await store.release(REF, ME.run)).toBe(true);
      expect(await store.read(REF)).toEqual({ token });
      const next = await tokenOf(OTHER);
      expect(await store.release(REF, OTHER.run, { job: "job-3", until: 77 })).toBe(true);
      expect(await store.read(REF)).toEqual({ token: next, reserved: "job-3", reservedUntil: 77 });
    });

    it("is refused to whoever does not hold it, and makes no lock", async () => {
      expect(await store.release(REF, ME.run, reservation("job-3"))).toBe(false);
      expect(await store.read(REF)).toBeUndefined();
      await acquire();
      await acquire(OTHER, ME.run);
      expect(await store.release(REF, ME.run)).toBe(false);
      expect(await store.read(REF)).toMatchObject({ run: OTHER.run });
      await store.release(REF, OTHER.run);
      expect(await store.release(REF, OTHER.run, reservation("job-3"))).toBe(false);
      expect((await store.read(REF))?.reserved).toBeUndefined();
    });

    it("and a run that takes over do not both have it", async () => {
      await acquire();
      const [released, { acquired }] = await Promise.all([store.release(REF, ME.run, reservation("job-3")), acquire(OTHER, ME.run)]);
      expect(acquired).toBe(!released);
    });
  });

  describe("reserve", () => {
    it("moves a reservation on, or drops it", async () => {
      await acquire();
      await store.release(REF, ME.run, reservation("job-2"));
      const { token } = (await store.read(REF)) ?? { token: 0 };
      expect(await store.reserve(REF, "job-2", { job: "job-3", until: 78 })).toBe(true);
      expect(await store.read(REF)).toEqual({ token, reserved: "job-3", reservedUntil: 78 });
      expect(await store.reserve(REF, "job-3")).toBe(true);
      expect(await store.read(REF)).toEqual({ token });
    });

    it("moves one that has lapsed, too: it says who is next, not who may", async () => {
      await acquire();
      await store.release(REF, ME.run, reservation("job-2"));
      clock.advance(LIMITS.reservationMs + 1);
      expect(await store.reserve(REF, "job-2", reservation("job-3"))).toBe(true);
      expect(await acquire(run(4))).toMatchObject({ acquired: false, lock: { reserved: "job-3" } });
    });

    it("is refused when it is another's, nobody's, held, or not there, and makes no lock", async () => {
      const ask = () => store.reserve(REF, "job-2", reservation("job-3"));
      expect(await ask()).toBe(false);
      expect(await store.read(REF)).toBeUndefined();
      const token = await tokenOf(ME);
      expect(await ask()).toBe(false);
      await store.release(REF, ME.run);
      expect(await ask()).toBe(false);
      expect(await store.read(REF)).toEqual({ token });
      await acquire();
      await store.release(REF, ME.run, reservation("job-4"));
      expect(await ask()).toBe(false);
      expect(await store.read(REF)).toMatchObject({ reserved: "job-4" });
    });

    it("is had by one of many, and never by them and an acquirer", async () => {
      await acquire();
      await store.release(REF, ME.run, reservation("job-2"));
      const [taken, ...moves] = await Promise.all([
        acquire(run(2)),
        ...Array.from({ length: 31 }, (_, i) => store.reserve(REF, "job-2", reservation(`next-${i}`))),
      ]);
      expect([taken.acquired, ...moves].filter((won) => won)).toHaveLength(1);
    });
  });

  describe("waiters", () => {
    const waiter = (n: number): JobLife => ({ job: `job-${String(n).padStart(4, "0")}`, enqueuedAt: clock.now() + n });

    it("stand in line by the time of their enqueueing, then by job", async () => {
      const now = clock.now();
      const line: JobLife[] = [
        { job: "z", enqueuedAt: 0 },
        { job: "y", enqueuedAt: 999 },
        { job: "x", enqueuedAt: now - 1 },
        { job: "a", enqueuedAt: now },
        { job: "b", enqueuedAt: now },
        { job: "0", enqueuedAt: now + 1 },
        { job: "far", enqueuedAt: 10 * now },
      ];
      for (const each of [...line].reverse()) await store.enlist(REF, each);
      expect(await store.waiters(REF, 100)).toEqual(line);
      expect(await store.waiters(REF, 2)).toEqual(line.slice(0, 2));
      expect(await store.waiters(REF, 1)).toEqual(line.slice(0, 1));
    });

    it("are there once, however often they come, until they leave", async () => {
      for (let i = 0; i < 3; i++) await store.enlist(REF, waiter(1));
      await store.enlist(REF, waiter(2));
      expect(await store.waiters(REF, 10)).toEqual([waiter(1), waiter(2)]);
      await store.leave(REF, waiter(1));
      await store.leave(REF, waiter(1));
      expect(await store.waiters(REF, 10)).toEqual([waiter(2)]);
      await store.leave(REF, waiter(2));
      expect(await store.waiters(REF, 10)).toEqual([]);
    });

    it("leave by what they said when they came: time and job", async () => {
      await store.enlist(REF, waiter(1));
      await store.leave(REF, { ...waiter(1), enqueuedAt: waiter(1).enqueuedAt + 1 });
      await store.leave(REF, { ...waiter(1), job: "another" });
      expect(await store.waiters(REF, 10)).toEqual([waiter(1)]);
    });

    it("keep their place whatever an odd clock wrote: their rows can be found and removed again", async () => {
      const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -5, 1.5, 1e300, Number.MAX_SAFE_INTEGER];
      await store.enlist(REF, waiter(1));
      for (const [i, enqueuedAt] of odd.entries()) await store.enlist(REF, { job: `odd-${i}`, enqueuedAt });
      const all = await store.waiters(REF, 100);
      expect(all).toHaveLength(odd.length + 1);
      for (const { enqueuedAt } of all) expect(Number.isSafeInteger(enqueuedAt) && enqueuedAt >= 0).toBe(true);
      expect([...all].sort((a, b) => a.enqueuedAt - b.enqueuedAt || (a.job < b.job ? -1 : 1))).toEqual(all);
      for (const [i, enqueuedAt] of odd.entries()) {
        // By what they were enlisted with, and by what the line answers: either names the same row.
        const listed = all.find(({ job }) => job === `odd-${i}`);
        await store.leave(REF, i % 2 === 0 || listed === undefined ? { job: `odd-${i}`, enqueuedAt } : listed);
      }
      expect(await store.waiters(REF, 100)).toEqual([waiter(1)]);
    });

    it("of other keys and partitions stand in other lines, and the lock stands in none", async () => {
      await acquire();
      await store.enlist(REF, waiter(2));
      await store.enlist({ ...REF, key: "another" }, waiter(1));
      await store.enlist({ ...REF, partition: "other" }, waiter(1));
      expect(await store.waiters(REF, 10)).toEqual([waiter(2)]);
      await store.release(REF, ME.run);
      expect(await store.waiters(REF, 10)).toEqual([waiter(2)]);
      expect(await store.read({ ...REF, key: "another" })).toBeUndefined();
    });

    it("may be thousands: the first is still the first, and the end is reached", async () => {
      const line = Array.from({ length: 5_000 }, (_, n) => waiter(n));
      const shuffled = line.map((each, i) => line[(i * 1_987) % line.length] ?? each);
      await forEachWithin(50, shuffled, (each) => store.enlist(REF, each));
      expect(await store.waiters(REF, 1)).toEqual([waiter(0)]);
      expect(await store.waiters(REF, 100)).toEqual(line.slice(0, 100));
      expect(await store.waiters(REF, 10_000)).toEqual(line);
      await store.leave(REF, waiter(0));
      expect(await store.waiters(REF, 1)).toEqual([waiter(1)]);
    }, 120_000);
  });
}
