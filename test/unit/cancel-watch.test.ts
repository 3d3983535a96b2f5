import { describe, expect, it } from "vitest";
import type { CancelStore } from "../../core/job/cancels.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import type { Partition } from "../../core/partition/partition.ts";
import { virtualClock } from "../../testing/clock.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { CancelWatch } from "../../worker/cancel-watch.ts";

const ENVELOPE: Envelope = { v: 1, id: "A", name: "mail", args: null, partition: "acme", queue: "default", attempt: 1, enqueued_at: 100 };
const ROW: Partition = { id: "acme", status: "running", revision: 1, pools: {}, paused: [], held: {}, shares: {}, cancelSeq: 0 };

function world() {
  let reads = 0;
  let row: Partition | undefined = ROW;
  const { cancels } = memoryStore({ clock: virtualClock() });
  const counted: CancelStore = {
    ...cancels,
    list: (partition) => {
      reads += 1;
      return cancels.list(partition);
    },
  };
  const marked: string[] = [];
  const watch = new CancelWatch({ cancels: counted, emit: () => undefined, row: () => row, onMarked: (partition) => void marked.push(partition) });
  const become = (cancelSeq: number | undefined): void => {
    row = cancelSeq === undefined ? undefined : { ...ROW, cancelSeq };
    watch.rowChanged("acme", row);
  };
  return { watch, cancels, marked, become, reads: () => reads };
}

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
    await expect.poll(() => marked).toEqual(["acme"]);
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
    const watch = new CancelWatch({
      cancels: { list: () => Promise.reject(new Error("away")) } as unknown as CancelStore,
      emit: () => undefined,
      row: () => ({ ...ROW, cancelSeq: 1 }),
      onMarked: () => undefined,
    });
    await expect(watch.has(ENVELOPE)).rejects.toThrow("away");
  });
});
