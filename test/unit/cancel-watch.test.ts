import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import type { Partition } from "../../core/partition/partition.ts";
import { virtualClock } from "../../testing/clock.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { CancelWatch } from "../../worker/cancel-watch.ts";
import type { WorkerEvent } from "../../worker/events.ts";

const ENVELOPE: Envelope = { v: 1, id: "A", name: "mail", args: null, partition: "acme", queue: "default", attempt: 1, enqueued_at: 100 };
const ROW: Partition = { id: "acme", status: "running", revision: 1, pools: {}, paused: [], held: {}, shares: {}, cancelSeq: 0 };

/** A millisecond for each marker that is known, over the second that all wait. */
const PAUSE_MS = DEFAULT_TIMINGS.cancels;

function world() {
  const state = { reads: 0, row: ROW as Partition | undefined, away: false };
  const { cancels } = memoryStore({ clock: virtualClock() });
  const marked: string[] = [];
  const troubles: WorkerEvent[] = [];
  const watch = new CancelWatch({
    cancels: {
      get: (partition, id) => cancels.get(partition, id),
      list: async (partition) => {
        state.reads += 1;
        if (state.away) throw new Error("away");
        return cancels.list(partition);
      },
    },
    clock: { monotonic: () => performance.now() },
    timings: DEFAULT_TIMINGS,
    emit: (event) => void troubles.push(event),
    row: () => state.row,
    onMarked: (partition) => void marked.push(partition),
  });
  onTestFinished(() => watch.stop());
  const become = (cancelSeq: number | undefined): void => {
    state.row = cancelSeq === undefined ? undefined : { ...ROW, cancelSeq };
    watch.rowChanged("acme", state.row);
  };
  /** One more job is cancelled, and the task hears of it. */
  const cancel = async (id: string): Promise<void> => {
    await cancels.mark("acme", id, 101);
    become((state.row?.cancelSeq ?? 0) + 1);
    await vi.advanceTimersByTimeAsync(0);
  };
  return { watch, cancels, marked, troubles, become, cancel, state, reads: () => state.reads };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("cancel markers in a task", () => {
  it("cost nothing for a partition that never had one", () => {
    const { watch, reads } = world();
    expect(watch.has(ENVELOPE)).toBe(false);
    expect(reads()).toBe(0);
  });

  it("are read before a partition's first job, and answer at once from then on", async () => {
    const { watch, cancels, become, reads } = world();
    await cancels.mark("acme", "A", 101);
    become(1);
    expect(await watch.has(ENVELOPE)).toBe(true);
    expect(watch.has({ ...ENVELOPE, id: "B" })).toBe(false);
    expect(reads()).toBe(1);
  });

  it("are read again when the row tells of more, and running jobs hear of it", async () => {
    const { watch, cancels, become, marked } = world();
    expect(watch.has(ENVELOPE)).toBe(false);
    await cancels.mark("acme", "A", 101);
    become(1);
    await vi.advanceTimersByTimeAsync(0);
    expect(marked).toEqual(["acme"]);
    expect(watch.knows(ENVELOPE)).toBe(true);
    expect(watch.has(ENVELOPE)).toBe(true);
  });

  it("hit only what was enqueued before", async () => {
    const { watch, cancels, become } = world();
    await cancels.mark("acme", "A", 100);
    become(1);
    expect(await watch.has(ENVELOPE)).toBe(false);
    expect(watch.has({ ...ENVELOPE, enqueued_at: 99 })).toBe(true);
  });

  it("are forgotten with their partition, and read anew in its next life", async () => {
    const { watch, cancels, become, reads } = world();
    await cancels.mark("acme", "A", 101);
    become(1);
    expect(await watch.has(ENVELOPE)).toBe(true);
    become(undefined);
    become(2);
    expect(await watch.has(ENVELOPE)).toBe(true);
    expect(reads()).toBe(2);
  });

  it("that can't be read stop the job, rather than let it run", async () => {
    const { watch, state, become } = world();
    state.away = true;
    become(1);
    await expect(watch.has(ENVELOPE)).rejects.toThrow("away");
  });
});

describe("a stream of cancels", () => {
  it("is read once in a second and a millisecond for each marker, and each marker counts by then", async () => {
    const { watch, cancel, cancels, marked, reads } = world();
    expect(watch.has(ENVELOPE)).toBe(false);
    for (let i = 0; i < 500; i++) await cancels.mark("acme", `old-${i}`, 101);
    await cancel("first");
    expect(reads()).toBe(1);
    for (let i = 0; i < 100; i++) {
      await cancel(`new-${i}`);
      await vi.advanceTimersByTimeAsync(100);
    }
    // 10 s by pauses of a second and a half and more.
    expect(reads()).toBe(1 + 6);
    await vi.advanceTimersByTimeAsync(PAUSE_MS + 601);
    expect(reads()).toBe(1 + 7);
    expect(watch.has({ ...ENVELOPE, id: "new-99" })).toBe(true);
    expect(marked).toHaveLength(reads());
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reads()).toBe(1 + 7);
  });

  it("lets a job start that is cancelled meanwhile, and tells of it when it is read", async () => {
    const { watch, cancel, marked } = world();
    expect(watch.has(ENVELOPE)).toBe(false);
    await cancel("other");
    await cancel(ENVELOPE.id);
    expect(watch.has(ENVELOPE)).toBe(false);
    expect(marked).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(PAUSE_MS + 1);
    expect(marked).toHaveLength(2);
    expect(watch.knows(ENVELOPE)).toBe(true);
  });

  it("is read on when a reading fails, after the pause", async () => {
    const { watch, cancel, state, troubles, reads } = world();
    expect(watch.has(ENVELOPE)).toBe(false);
    state.away = true;
    await cancel(ENVELOPE.id);
    expect({ reads: reads(), troubles: troubles.length }).toEqual({ reads: 1, troubles: 1 });
    expect(watch.has(ENVELOPE)).toBe(false);
    await vi.advanceTimersByTimeAsync(PAUSE_MS);
    expect({ reads: reads(), troubles: troubles.length }).toEqual({ reads: 2, troubles: 2 });
    state.away = false;
    await vi.advanceTimersByTimeAsync(PAUSE_MS);
    expect(watch.has(ENVELOPE)).toBe(true);
    expect(reads()).toBe(3);
  });

  it("that begins while the first reading is under way is not forgotten", async () => {
    const { watch, cancels, become, marked } = world();
    await cancels.mark("acme", "other", 101);
    become(1);
    const first = watch.has({ ...ENVELOPE, id: "other" });
    become(2);
    expect(await first).toBe(true);
    await cancels.mark("acme", ENVELOPE.id, 101);
    await vi.advanceTimersByTimeAsync(PAUSE_MS + 1);
    expect(watch.knows(ENVELOPE)).toBe(true);
    expect(marked).toHaveLength(2);
  });

  it("is not read any more once the partition is gone or the task stops", async () => {
    const { watch, cancel, become, reads } = world();
    expect(watch.has(ENVELOPE)).toBe(false);
    await cancel("a");
    await cancel("b");
    become(undefined);
    await vi.advanceTimersByTimeAsync(10 * PAUSE_MS);
    expect(reads()).toBe(1);
    become(1);
    expect(await watch.has(ENVELOPE)).toBe(false);
    await cancel("c");
    await watch.stop();
    await vi.advanceTimersByTimeAsync(10 * PAUSE_MS);
    expect(reads()).toBe(2);
  });

  it("is in the table though this task has not heard of it", async () => {
    const { watch, cancels, reads } = world();
    expect(await watch.hasNow(ENVELOPE)).toBe(false);
    await cancels.mark("acme", ENVELOPE.id, 101);
    expect(watch.has(ENVELOPE)).toBe(false);
    expect(await watch.hasNow(ENVELOPE)).toBe(true);
    expect(await watch.hasNow({ ...ENVELOPE, enqueued_at: 101 })).toBe(false);
    expect(reads()).toBe(0);
  });
});
