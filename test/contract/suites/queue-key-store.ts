import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../../core/contract/limits.ts";
import type { NewParkedJob } from "../../../core/job/parked.ts";
import { keyHash } from "../../../core/keys/key-hash.ts";
import type { QueueKeyRef } from "../../../core/keys/queue-key-ref.ts";
import type { QueueKeyItem, QueueKeyStore } from "../../../core/keys/queue-key-store.ts";
import type { RunIdentity } from "../../../core/keys/runs.ts";
import type { Make, TestClock } from "./world.ts";

const KEY = "invoice:1 # é\u0000/";
const REF: QueueKeyRef = { partition: "acme.corp-1", key: KEY };
const HANDLE = { partition: REF.partition, hash: keyHash(KEY) };
const JOB = "0192f3a4-1.2:x-9";
const ENQUEUED = 1_800_000_000_000;
const MINE = { jobId: JOB, enqueuedAt: ENQUEUED, queue: "mail" };

const run = (n: number, job = JOB): RunIdentity => ({ job, enqueuedAt: ENQUEUED, run: `boot-${n}.1`, task: `boot-${n}`, queue: MINE.queue });
const ME = run(1);
const OTHER = run(2);

export function queueKeyStoreSuite(make: Make<QueueKeyStore>): void {
  let store: QueueKeyStore;
  let clock: TestClock;
  beforeEach(async () => {
    ({ store, clock } = await make());
  });

  const outboxOf = (job: string, attempt = 1): NewParkedJob => ({
    partition: REF.partition,
    id: job,
    enqueuedAt: ENQUEUED,
    name: "send-invoice",
    queue: MINE.queue,
    attempt,
    reason: "delayed",
    due: clock.now() + 3_600_000,
    since: clock.now(),
    body: '{"v":1,"é":"\u0000"}',
  });
  const claim = (job = JOB, change: { attempt?: number; takeDone?: boolean; ref?: QueueKeyRef } = {}) =>
    store.claim(change.ref ?? REF, {
      outbox: outboxOf(job, change.attempt),
      due: clock.now() + 10_000,
      now: clock.now(),
      takeDone: change.takeDone ?? true,
    });
  const publishing = (job = JOB, attempt = 1): QueueKeyItem => ({
    ...MINE,
    jobId: job,
    state: "publishing",
    attempt,
    outbox: outboxOf(job, attempt),
    due: clock.now() + 10_000,
  });
  const begin = (me = ME, attempt = 1, instead?: string) => store.begin(REF, me, attempt, clock.now(), instead);
  const memory = () => clock.now() + LIMITS.doneKeyMs;
  /** The key of `ME`'s job, held by that run at `attempt`. */
  const held = async (attempt = 1) => {
    await claim();
    await store.published(REF, ME);
    expect(await begin(ME, attempt)).toEqual({ began: true });
  };
  const done = async () => {
    await held();
    expect(await store.finish(REF, ME.run, memory())).toBe(true);
  };

  describe("claim", () => {
    it("writes the key with the job inside", async () => {
      expect(await store.get(REF)).toBeUndefined();
      expect(await claim()).toEqual({ claimed: true });
      expect(await store.get(REF)).toEqual(publishing());
    });

    it("keeps keys and partitions apart, whatever the key's text", async () => {
      await claim();
      for (const ref of [
        { ...REF, partition: "other" },
        { ...REF, key: "" },
        { ...REF, key: `${KEY}x` },
        { ...REF, key: "x".repeat(512) },
      ]) {
        expect(await store.get(ref)).toBeUndefined();
        expect(await claim("another", { ref })).toEqual({ claimed: true });
        expect(await store.get(ref)).toMatchObject({ jobId: "another" });
      }
      expect(await store.get(REF)).toEqual(publishing());
    });

    it("holds the largest envelope", async () => {
      const outbox = { ...outboxOf(JOB), body: "x".repeat(LIMITS.envelopeBytes) };
      await store.claim(REF, { outbox, due: clock.now(), now: clock.now(), takeDone: false });
      expect((await store.claimOutbox(HANDLE, clock.now(), clock.now() + 1))?.outbox).toEqual(outbox);
    });

    it("is refused while the key is publishing, queued or running, and tells who holds it", async () => {
      await claim();
      expect(await claim("another")).toEqual({ claimed: false, holder: publishing() });
      await store.published(REF, ME);
      expect(await claim("another")).toEqual({ claimed: false, holder: { ...MINE, state: "queued", attempt: 1 } });
      await begin();
      const holder = { ...MINE, state: "running", attempt: 1, run: ME.run, task: ME.task };
      expect(await claim("another")).toEqual({ claimed: false, holder });
      expect(await store.get(REF)).toEqual(holder);
    });

    it("is refused to the job that holds it as to any other: two requests with one id are two", async () => {
      await claim();
      expect(await claim()).toMatchObject({ claimed: false, holder: { ...MINE, state: "publishing" } });
      await store.published(REF, ME);
      expect(await claim()).toMatchObject({ claimed: false, holder: { ...MINE, state: "queued" } });
    });

    it("takes one that is done, if it may", async () => {
      await done();
      const holder = { ...MINE, state: "done", attempt: 1, until: memory() };
      expect(await claim("another", { takeDone: false })).toEqual({ claimed: false, holder });
      expect(await store.get(REF)).toEqual(holder);
      expect(await claim("another", { takeDone: true })).toEqual({ claimed: true });
      expect(await store.get(REF)).toEqual(publishing("another"));
    });

    it("takes one that this very job is done with: a person's retry", async () => {
      await done();
      expect(await claim(JOB, { attempt: 2, takeDone: false })).toEqual({ claimed: true });
      expect(await store.get(REF)).toEqual(publishing(JOB, 2));
    });

    it("is refused to an id that was accepted before and is done: the same attempt is the same job once more", async () => {
      await done();
      expect(await claim(JOB, { attempt: 1, takeDone: false })).toMatchObject({ claimed: false, holder: { ...MINE, state: "done" } });
    });

    it("takes one whose memory has lapsed, to the millisecond", async () => {
      await done();
      clock.advance(LIMITS.doneKeyMs - 1);
      expect(await claim("another", { takeDone: false })).toMatchObject({ claimed: false, holder: { state: "done" } });
      clock.advance(1);
      expect(await claim("another", { takeDone: false })).toEqual({ claimed: true });
      expect(await store.get(REF)).toEqual(publishing("another"));
    });

    it("is had by one of many", async () => {
      const claims = await Promise.all(Array.from({ length: 32 }, (_, i) => claim(`job-${i}`)));
      expect(claims.filter(({ claimed }) => claimed)).toHaveLength(1);
      const winner = claims.findIndex(({ claimed }) => claimed);
      expect(await store.get(REF)).toEqual(publishing(`job-${winner}`));
      for (const answer of claims) if (!answer.claimed) expect(answer.holder?.jobId).toBe(`job-${winner}`);
    });

    it.each([
      ["with the same id", async () => {}, () => JOB],
      ["when the key is done", () => done(), (i: number) => `job-${i}`],
    ])("is had by one of many %s", async (_, prepare, jobOf) => {
      await prepare();
      const claims = await Promise.all(Array.from({ length: 32 }, (_, i) => claim(jobOf(i))));
      expect(claims.filter(({ claimed }) => claimed)).toHaveLength(1);
    });
  });

  describe("published", () => {
    it.each([
      ["key", REF],
      ["handle", HANDLE],
    ])("drops the outbox, by %s, once", async (_, by) => {
      await claim();
      expect(await store.published(by, ME)).toBe(true);
      expect(await store.get(REF)).toEqual({ ...MINE, state: "queued", attempt: 1 });
      expect(await store.published(by, ME)).toBe(false);
      expect(await store.get(REF)).toEqual({ ...MINE, state: "queued", attempt: 1 });
    });

    it("is refused for another job, another state, or no key, and makes none", async () => {
      expect(await store.published(REF, ME)).toBe(false);
      expect(await store.get(REF)).toBeUndefined();
      await claim();
      expect(await store.published(REF, run(1, "another"))).toBe(false);
      expect(await store.get(REF)).toEqual(publishing());
      await begin();
      expect(await store.published(REF, ME)).toBe(false);
      await store.finish(REF, ME.run, memory());
      expect(await store.published(REF, ME)).toBe(false);
      expect((await store.get(REF))?.state).toBe("done");
    });
  });

  describe("begin", () => {
    const running = (me = ME, attempt = 1) => ({ ...MINE, jobId: me.job, state: "running", attempt, run: me.run, task: me.task });

    it("takes a key that is not there", async () => {
      expect(await begin(ME, 3)).toEqual({ began: true });
      expect(await store.get(REF)).toEqual(running(ME, 3));
    });

    it("takes one whose memory has lapsed, whoever's it was", async () => {
      await done();
      clock.advance(LIMITS.doneKeyMs - 1);
      expect(await begin(run(3, "another"))).toMatchObject({ began: false, found: { state: "done" } });
      clock.advance(1);
      expect(await begin(run(3, "another"))).toEqual({ began: true });
      expect(await store.get(REF)).toEqual(running(run(3, "another")));
    });

    it("takes its own job's key, queued or publishing still, and drops the outbox", async () => {
      await claim();
      expect(await begin()).toEqual({ began: true });
      expect(await store.get(REF)).toEqual(running());
      expect(await store.claimOutbox(HANDLE, clock.now() + 99_000, clock.now() + 100_000)).toBeUndefined();
      await store.giveBack(REF, ME.run, 1);
      expect(await begin(OTHER)).toEqual({ began: true });
      expect(await store.get(REF)).toEqual(running(OTHER));
    });

    it("takes the key along to a later attempt, never to an earlier one", async () => {
      await held(2);
      await store.giveBack(REF, ME.run, 3);
      expect(await begin(OTHER, 2)).toEqual({ began: false, found: { ...MINE, state: "queued", attempt: 3 } });
      expect(await begin(OTHER, 4)).toEqual({ began: true });
      expect(await store.get(REF)).toEqual(running(OTHER, 4));
    });

    it("is refused for another job's key, whatever its attempt and state", async () => {
      await claim();
      const stranger = run(3, "another");
      expect(await begin(stranger, 9)).toEqual({ began: false, found: publishing() });
      await begin();
      expect(await begin(stranger, 9)).toEqual({ began: false, found: running() });
      expect(await begin(stranger, 9, ME.run)).toEqual({ began: false, found: running() });
      await store.finish(REF, ME.run, memory());
      expect(await begin(stranger, 9)).toMatchObject({ began: false, found: { ...MINE, state: "done" } });
    });

    it("is refused when its own job is done", async () => {
      await done();
      expect(await begin(OTHER, 2)).toEqual({ began: false, found: { ...MINE, state: "done", attempt: 1, until: memory() } });
    });

    it("takes it from another run only instead of that very one", async () => {
      await held();
      expect(await begin(OTHER)).toEqual({ began: false, found: running() });
      expect(await begin(OTHER, 1, "boot-9.9")).toEqual({ began: false, found: running() });
      expect(await begin(OTHER, 1, ME.run)).toEqual({ began: true });
      expect(await store.get(REF)).toEqual(running(OTHER));
      expect(await begin(run(3), 1, ME.run)).toEqual({ began: false, found: running(OTHER) });
    });

    it("instead of a run that has left it meanwhile takes it all the same", async () => {
      await held();
      await store.giveBack(REF, ME.run, 1);
      expect(await begin(OTHER, 1, ME.run)).toEqual({ began: true });
    });

    it("answers the same when it is asked again", async () => {
      await claim();
      expect(await begin()).toEqual({ began: true });
      expect(await begin()).toEqual({ began: true });
      expect(await store.get(REF)).toEqual(running());
    });

    it("is had by one of many runs of the job", async () => {
      await claim();
      const answers = await Promise.all(Array.from({ length: 32 }, (_, i) => begin(run(i))));
      expect(answers.filter(({ began }) => began)).toHaveLength(1);
      expect(await store.get(REF)).toEqual(running(run(answers.findIndex(({ began }) => began))));
    });

    it.each([
      ["jobs when there is no key", async () => {}, (i: number) => begin(run(i, `job-${i}`))],
      ["that take over from the dead", () => held(), (i: number) => begin(run(i + 10), 1, ME.run)],
    ])("is had by one of many %s", async (_, prepare, ask) => {
      await prepare();
      const answers = await Promise.all(Array.from({ length: 32 }, (_, i) => ask(i)));
      expect(answers.filter(({ began }) => began)).toHaveLength(1);
    });
  });

  describe("giveBack", () => {
    it("leaves the key queued at the attempt that comes next", async () => {
      await held();
      expect(await store.giveBack(REF, ME.run, 2)).toBe(true);
      expect(await store.get(REF)).toEqual({ ...MINE, state: "queued", attempt: 2 });
    });

    it("is refused to whoever does not hold it, and makes no key", async () => {
      expect(await store.giveBack(REF, ME.run, 1)).toBe(false);
      expect(await store.get(REF)).toBeUndefined();
      await held();
      await begin(OTHER, 1, ME.run);
      expect(await store.giveBack(REF, ME.run, 2)).toBe(false);
      expect(await store.get(REF)).toMatchObject({ state: "running", attempt: 1, run: OTHER.run });
      await store.giveBack(REF, OTHER.run, 2);
      expect(await store.giveBack(REF, OTHER.run, 3)).toBe(false);
      expect(await store.get(REF)).toMatchObject({ state: "queued", attempt: 2 });
    });
  });

  describe("finish", () => {
    it("leaves the key done, remembered until then", async () => {
      await held();
      expect(await store.finish(REF, ME.run, memory())).toBe(true);
      expect(await store.get(REF)).toEqual({ ...MINE, state: "done", attempt: 1, until: memory() });
      clock.advance(LIMITS.doneKeyMs - 1);
      expect((await store.get(REF))?.state).toBe("done");
      clock.advance(1);
      expect(await store.get(REF)).toBeUndefined();
    });

    it("is refused to whoever does not hold it, and makes no key", async () => {
      expect(await store.finish(REF, ME.run, memory())).toBe(false);
      expect(await store.get(REF)).toBeUndefined();
      await claim();
      expect(await store.finish(REF, ME.run, memory())).toBe(false);
      expect(await store.get(REF)).toEqual(publishing());
      await begin();
      await begin(OTHER, 1, ME.run);
      expect(await store.finish(REF, ME.run, memory())).toBe(false);
      expect(await store.get(REF)).toMatchObject({ state: "running", run: OTHER.run });
      await store.finish(REF, OTHER.run, memory());
      expect(await store.finish(REF, OTHER.run, memory() + 1)).toBe(false);
      expect((await store.get(REF))?.until).toBe(memory());
    });

    it("and a run that takes over do not both have it", async () => {
      await held();
      const [finished, { began }] = await Promise.all([store.finish(REF, ME.run, memory()), begin(OTHER, 1, ME.run)]);
      expect(finished).toBe(!began);
      expect((await store.get(REF))?.state).toBe(began ? "running" : "done");
    });
  });

  describe("release", () => {
    it.each(["publishing", "queued"])("leaves a %s key done, its outbox dropped, once", async (state) => {
      await claim();
      if (state === "queued") await store.published(REF, ME);
      expect(await store.release(REF, ME, 99, memory())).toBe(true);
      expect(await store.get(REF)).toEqual({ ...MINE, state: "done", attempt: 1, until: memory() });
      expect(await store.claimOutbox(HANDLE, clock.now() + 99_000, clock.now() + 100_000)).toBeUndefined();
      expect(await store.release(REF, ME, 99, memory() + 1)).toBe(false);
      expect((await store.get(REF))?.until).toBe(memory());
    });

    it("leaves alone what a run holds, but for the run that is named", async () => {
      await held();
      expect(await store.release(REF, ME, 99, memory())).toBe(false);
      expect(await store.release(REF, ME, 99, memory(), OTHER.run)).toBe(false);
      expect((await store.get(REF))?.run).toBe(ME.run);
      expect(await store.release(REF, ME, 99, memory(), ME.run)).toBe(true);
      expect(await store.get(REF)).toEqual({ ...MINE, state: "done", attempt: 1, until: memory() });
      expect(await store.finish(REF, ME.run, memory())).toBe(false);
    });

    it("is refused for another job's key, or none, and makes none", async () => {
      expect(await store.release(REF, ME, 99, memory())).toBe(false);
      expect(await store.get(REF)).toBeUndefined();
      await claim();
      expect(await store.release(REF, run(1, "another"), 99, memory())).toBe(false);
      expect(await store.get(REF)).toEqual(publishing());
    });

    it("is had by one of many", async () => {
      await claim();
      const answers = await Promise.all(Array.from({ length: 32 }, () => store.release(REF, ME, 99, memory())));
      expect(answers.filter((answer) => answer)).toHaveLength(1);
    });
  });

  describe("claimOutbox", () => {
    it("takes a due outbox: it is not due again before `until`", async () => {
      await claim();
      const { due = 0 } = publishing();
      expect(await store.claimOutbox(HANDLE, due - 1, due + 30_000)).toBeUndefined();
      expect(await store.claimOutbox(HANDLE, due, due + 30_000)).toEqual({ ...publishing(), due: due + 30_000 });
      expect(await store.get(REF)).toEqual({ ...publishing(), due: due + 30_000 });
      expect(await store.claimOutbox(HANDLE, due + 29_999, due + 60_000)).toBeUndefined();
      expect(await store.claimOutbox(HANDLE, due + 30_000, due + 60_000)).toBeDefined();
      expect(await store.published(HANDLE, ME)).toBe(true);
    });

    it("finds nothing once the job is published, runs, or is done, nor without a key, and makes none", async () => {
      const ask = () => store.claimOutbox(HANDLE, clock.now() + 99_000, clock.now() + 100_000);
      expect(await ask()).toBeUndefined();
      expect(await store.get(REF)).toBeUndefined();
      await claim();
      await store.published(REF, ME);
      expect(await ask()).toBeUndefined();
      await begin();
      expect(await ask()).toBeUndefined();
      await store.finish(REF, ME.run, memory());
      expect(await ask()).toBeUndefined();
      expect((await store.get(REF))?.state).toBe("done");
    });

    it("is had by one of many pumps", async () => {
      await claim();
      const now = clock.now() + 10_000;
      const claims = await Promise.all(Array.from({ length: 32 }, () => store.claimOutbox(HANDLE, now, now + 30_000)));
      expect(claims.filter((item) => item !== undefined)).toHaveLength(1);
    });
  });
}
