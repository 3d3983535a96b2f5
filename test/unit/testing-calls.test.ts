import { describe, expect, it } from "vitest";
import type { NewParkedJob } from "../../core/job/parked.ts";
import { CallScheduler } from "../../testing/call-scheduler.ts";
import type { Hook, PortCall } from "../../testing/calls.ts";
import { virtualClock } from "../../testing/clock.ts";
import { emptyState, restore, snapshot } from "../../testing/memory-state.ts";
import { memoryStore } from "../../testing/memory-store.ts";

const JOB: NewParkedJob = {
  partition: "acme",
  id: "job-1",
  enqueuedAt: 0,
  name: "mail",
  queue: "default",
  attempt: 1,
  reason: "delayed",
  due: 1_000,
  since: 0,
  body: "{}",
};
const LOST = new Error("the answer was lost");

function world(hook?: Hook) {
  const state = emptyState();
  const clock = virtualClock(0);
  return { state, clock, store: memoryStore({ state, clock, ...(hook === undefined ? {} : { hook }) }) };
}

describe("a call", () => {
  it("without a hook has had its effect when it returns", () => {
    const { state, store } = world();
    void store.parked.park(JOB);
    expect(Object.keys(state.parked)).toEqual(["acme/job-1"]);
  });

  it("is told to the hook, with its port, its method and what it was called with", async () => {
    const seen: PortCall[] = [];
    const hook: Hook = {
      before: (call) => {
        seen.push(call);
        return undefined;
      },
    };
    const { store } = world(hook);
    await store.parked.park(JOB);
    await store.cancels.hit("acme", { job: "job-1", enqueuedAt: 1 }, "run-1");
    expect(seen).toEqual([
      { port: "parked", method: "park", args: [JOB] },
      { port: "cancels", method: "hit", args: ["acme", { job: "job-1", enqueuedAt: 1 }, "run-1"] },
    ]);
  });

  it("that fails before never arrives; that fails after has had its effect", async () => {
    const early = world({ before: () => Promise.reject(LOST) });
    await expect(early.store.parked.park(JOB)).rejects.toBe(LOST);
    expect(early.state).toEqual(emptyState());
    const late = world({ after: () => Promise.reject(LOST) });
    await expect(late.store.parked.park(JOB)).rejects.toBe(LOST);
    expect(Object.keys(late.state.parked)).toEqual(["acme/job-1"]);
  });

  it("that throws is the caller's, as one that rejects", async () => {
    const { store } = world({
      before: () => {
        throw LOST;
      },
    });
    await expect(store.parked.park(JOB)).rejects.toBe(LOST);
  });
});

describe("what a reader was given", () => {
  it("stays as it was read", async () => {
    const { store } = world();
    await store.parked.park(JOB);
    const read = await store.parked.get(JOB);
    await store.parked.claim(JOB, 1_000, 31_000);
    expect(read).toMatchObject({ due: 1_000, claimed: false });
    expect(await store.parked.get(JOB)).toMatchObject({ due: 31_000, claimed: true });
  });
});

describe("a snapshot", () => {
  it("is the same for the same items, in whatever order they came, and goes back", async () => {
    const [one, other] = [world(), world()];
    await one.store.executionKeys.enlist({ partition: "a", key: "k" }, { job: "1", enqueuedAt: 1 });
    await one.store.cancels.mark("a", "1", 5);
    await other.store.cancels.mark("a", "1", 5);
    await other.store.executionKeys.enlist({ partition: "a", key: "k" }, { job: "1", enqueuedAt: 1 });
    expect(snapshot(one.state)).toBe(snapshot(other.state));
    expect(restore(snapshot(one.state))).toEqual(one.state);
    await one.store.suspects.started("a", "1");
    expect(snapshot(one.state)).not.toBe(snapshot(other.state));
  });

  it("of a replay of the same calls is the same, down to every rev", async () => {
    const play = async () => {
      const { state, store } = world();
      const rev = await store.parked.park(JOB);
      await store.parked.postpone(JOB, rev ?? "", 5);
      return snapshot(state);
    };
    expect(await play()).toBe(await play());
  });

  it("is one that a store goes on from", async () => {
    const { state, store, clock } = world();
    await store.parked.park(JOB);
    const again = memoryStore({ state: restore(snapshot(state)), clock });
    expect(await again.parked.claim(JOB, 1_000, 2_000)).toMatchObject({ id: "job-1" });
    expect(await store.parked.get(JOB)).toMatchObject({ claimed: false });
  });
});

describe("a scheduler", () => {
  const twoProcesses = () => {
    const scheduler = new CallScheduler();
    const state = emptyState();
    const clock = virtualClock(0);
    const open = (process: string) => memoryStore({ state, clock, hook: scheduler.hook(process) });
    return { scheduler, state, one: open("one"), other: open("other") };
  };

  it("decides which call comes first", async () => {
    const { scheduler, one, other } = twoProcesses();
    const starts = [one.suspects.started("acme", "j"), other.suspects.started("acme", "j")];
    expect(scheduler.waiting.map(({ process }) => process)).toEqual(["one", "other"]);
    await scheduler.go(1);
    await scheduler.go(0);
    expect(await Promise.all(starts)).toEqual([2, 1]);
    await expect(scheduler.go()).rejects.toBeInstanceOf(RangeError);
  });

  it("loses an answer whose effect stands", async () => {
    const { scheduler, one, state } = twoProcesses();
    const parked = one.parked.park(JOB).catch((error: unknown) => error);
    await scheduler.go(0, LOST);
    expect(await parked).toBe(LOST);
    expect(Object.keys(state.parked)).toHaveLength(1);
  });

  it("lets a killed process make no step any more, and the others go on", async () => {
    const { scheduler, one, other, state } = twoProcesses();
    let answered = false;
    const work = async () => {
      await one.parked.park(JOB);
      await one.parked.park({ ...JOB, id: "job-2" });
      answered = true;
    };
    void work();
    await scheduler.go();
    scheduler.kill("one");
    void other.suspects.started("acme", "j");
    void one.parked.park({ ...JOB, id: "job-3" });
    await scheduler.goOn();
    expect(Object.keys(state.parked)).toEqual(["acme/job-1"]);
    expect(Object.keys(state.suspects)).toEqual(["acme/j"]);
    expect(answered).toBe(false);
  });

  it("does not go on for ever", async () => {
    const { scheduler, one } = twoProcesses();
    const spin = async (): Promise<void> => {
      for (;;) await one.suspects.started("acme", "j");
    };
    void spin();
    await expect(scheduler.goOn(50)).rejects.toThrow("50 calls have gone on");
  });
});
