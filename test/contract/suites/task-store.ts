import { beforeEach, describe, expect, it } from "vitest";
import { RogerError } from "../../../core/contract/errors.ts";
import type { TaskLease, TaskReport, TaskState, TaskStore } from "../../../core/partition/task-store.ts";
import type { Make, TestClock } from "./world.ts";

const LEASE: TaskLease = {
  boot: "0192f-a.b-1",
  pool: "default",
  slots: 10,
  beat: 1,
  draining: false,
  free: 10,
  full: false,
  connected: true,
  dead: false,
};
const state = (beat: number, change: Partial<TaskState> = {}): TaskState => ({
  beat,
  free: 1,
  full: false,
  connected: true,
  draining: false,
  ...change,
});

export function taskStoreSuite(make: Make<TaskStore>): void {
  let store: TaskStore;
  let clock: TestClock;
  beforeEach(async () => {
    ({ store, clock } = await make());
  });

  describe("leases", () => {
    it("are registered, renewed and listed", async () => {
      await store.register(LEASE);
      await store.register({ ...LEASE, boot: "b" });
      expect(await store.renew("b", state(2, { free: 3, draining: true, full: true, connected: false }))).toBe(true);
      const leases = (await store.leases()).sort((a, b) => (a.boot < b.boot ? -1 : 1));
      expect(leases).toEqual([LEASE, { ...LEASE, boot: "b", beat: 2, free: 3, draining: true, full: true, connected: false }]);
    });

    it("may be registered again as long as they live", async () => {
      await store.register(LEASE);
      await store.register({ ...LEASE, beat: 2 });
      expect(await store.leases()).toEqual([{ ...LEASE, beat: 2 }]);
    });

    it("keep their latest beat, whatever comes late or twice; and whoever comes late is told that it lives", async () => {
      await store.register(LEASE);
      expect(await store.renew(LEASE.boot, state(7, { draining: true }))).toBe(true);
      expect(await store.renew(LEASE.boot, state(5))).toBe(true);
      expect(await store.renew(LEASE.boot, state(7, { free: 9 }))).toBe(true);
      await store.register(LEASE);
      expect(await store.leases()).toEqual([{ ...LEASE, beat: 7, free: 1, draining: true }]);
      expect(await store.declareDead(LEASE.boot, 7, clock.now())).toBe(true);
      for (const beat of [6, 7, 8]) expect(await store.renew(LEASE.boot, state(beat))).toBe(false);
    });

    it("end at the highest beat when renewals overtake each other", async () => {
      await store.register(LEASE);
      const beats = Array.from({ length: 16 }, (_, i) => i + 2);
      expect(await Promise.all(beats.toReversed().map((beat) => store.renew(LEASE.boot, state(beat))))).toEqual(beats.map(() => true));
      expect((await store.leases())[0]?.beat).toBe(17);
    });

    it("are declared dead if the beat is the one that was watched, for good", async () => {
      await store.register(LEASE);
      await store.renew(LEASE.boot, state(2));
      expect(await store.declareDead(LEASE.boot, 1, clock.now())).toBe(false);
      expect(await store.declareDead(LEASE.boot, 2, clock.now())).toBe(true);
      expect(await store.renew(LEASE.boot, state(3))).toBe(false);
      await expect(store.register(LEASE)).rejects.toBeInstanceOf(RogerError);
      expect(await store.leases()).toEqual([{ ...LEASE, beat: 2, free: 1, dead: true, deadAt: clock.now() }]);
    });

    it("are dead for those, too, who come second, and keep the time of the first", async () => {
      await store.register(LEASE);
      const first = clock.now();
      await store.declareDead(LEASE.boot, 1, first);
      clock.advance(500);
      expect(await store.declareDead(LEASE.boot, 1, clock.now())).toBe(true);
      expect(await store.declareDead(LEASE.boot, 99, clock.now())).toBe(true);
      expect((await store.leases())[0]?.deadAt).toBe(first);
    });

    it("either live or die when a renewal races a death", async () => {
      for (let round = 0; round < 8; round++) {
        const boot = `racer-${round}`;
        await store.register({ ...LEASE, boot });
        const [renewed, dead] = await Promise.all([store.renew(boot, state(2)), store.declareDead(boot, 1, clock.now())]);
        expect(renewed).toBe(!dead);
      }
    });

    it("are gone once forgotten: no renewal brings them back, and the task counts as dead", async () => {
      await store.register(LEASE);
      await store.report(reportOf(LEASE.boot, clock.now()));
      await store.forget(LEASE.boot);
      await store.forget(LEASE.boot);
      expect(await store.leases()).toEqual([]);
      expect(await store.reports()).toEqual([]);
      expect(await store.renew(LEASE.boot, state(2))).toBe(false);
      expect(await store.leases()).toEqual([]);
      expect(await store.declareDead(LEASE.boot, 1, clock.now())).toBe(true);
    });
  });

  describe("reports", () => {
    it("come back as they were, the last of each task", async () => {
      const report: TaskReport = {
        ...reportOf("a", clock.now()),
        arn: "arn:aws:ecs:eu-west-1:1:task/c/1",
        queues: [{ partition: "acme", key: "default/mail", share: 2, running: 1, ready: 7 }],
        running: [{ id: "1", name: "send", partition: "acme", queue: "mail", attempt: 1, startedAt: 5, progress: 0.5 }],
      };
      await store.report(reportOf("a", clock.now()));
      await store.report(report);
      await store.report(reportOf("b", clock.now()));
      expect((await store.reports()).find(({ boot }) => boot === "a")).toEqual(report);
      expect(await store.reports()).toHaveLength(2);
    });

    it("hold thousands of queues", async () => {
      const queues = Array.from({ length: 10_000 }, (_, i) => ({
        partition: `tenant-with-a-long-name-${i}`,
        key: "default/default" as const,
        share: 1,
        running: 1,
        ready: i,
      }));
      await store.report({ ...reportOf("a", clock.now()), queues });
      expect((await store.reports())[0]?.queues).toHaveLength(10_000);
    });

    it("tell nothing once they are old", async () => {
      await store.report(reportOf("a", clock.now()));
      clock.advance(60_000);
      expect(await store.reports()).toHaveLength(1);
      clock.advance(3_600_000);
      expect(await store.reports()).toEqual([]);
    });
  });
}

function reportOf(boot: string, at: number): TaskReport {
  return {
    boot,
    pool: "default",
    slots: 10,
    at,
    startedAt: at - 1,
    busy: 0,
    memoryBytes: 1,
    shards: [4, 0],
    queues: [],
    running: [],
    runningLeftOut: 0,
  };
}
