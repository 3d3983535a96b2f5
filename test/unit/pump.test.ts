import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import type { DueRef, ParkedRef } from "../../core/job/parked.ts";
import type { Courier } from "../../worker/courier.ts";
import { Pump } from "../../worker/pump.ts";
import type { Roster } from "../../worker/roster.ts";

/** Parked jobs of one group of the index; those of `stuck` never come to an end. */
function setUp(due: readonly ParkedRef[], options: { readonly owns?: Roster["owns"] } = {}) {
  const left = [...due];
  const brought: string[] = [];
  const troubles: unknown[] = [];
  const asked: number[] = [];
  let under = 0;
  let most = 0;
  const state = { may: true };
  const ends = new Map<string, (error?: Error) => void>();
  const courier = {
    async bring({ ref }: DueRef): Promise<void> {
      const { partition, id } = ref as ParkedRef;
      // What was claimed is due no longer.
      left.splice(
        left.findIndex((job) => job.id === id),
        1,
      );
      under += 1;
      most = Math.max(most, under);
      try {
        if (partition === "stuck") await new Promise<void>((resolve, reject) => ends.set(id, (error) => (error ? reject(error) : resolve())));
        brought.push(id);
      } finally {
        under -= 1;
      }
    },
  };
  const pump = new Pump({
    parked: {
      due: async (shard, _, limit) => {
        asked.push(shard);
        return shard === 0 ? left.slice(0, limit).map((ref) => ({ kind: "parked", ref })) : [];
      },
    },
    courier: courier as unknown as Courier,
    roster: { owns: options.owns ?? (() => true) } as unknown as Roster,
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    timings: DEFAULT_TIMINGS,
    emit: (event) => void troubles.push(event),
    mayPump: () => state.may,
  });
  return { pump, brought, troubles, ends, asked, left, state, most: () => most };
}

const jobs = (partition: string, count: number): ParkedRef[] => Array.from({ length: count }, (_, i) => ({ partition, id: `${partition}-${i}` }));

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("Pump", () => {
  it("does not let jobs of a queue that never confirms delay those of others", async () => {
    const { pump, brought, ends } = setUp([...jobs("stuck", 60), ...jobs("well", 30)]);
    await pump.start();
    await vi.advanceTimersByTimeAsync(1_100);
    expect(brought).toHaveLength(30);
    expect(ends.size).toBe(60);
    await pump.stop();
  });

  it("leaves no more behind than the confirm window has room beside", async () => {
    const { pump, most, ends, state } = setUp(jobs("stuck", 400));
    await pump.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(most()).toBe(150);
    state.may = false;
    for (const end of ends.values()) end();
    await pump.stop();
  });

  it("tells of what fails after nobody waits for it any more", async () => {
    const { pump, troubles, ends } = setUp(jobs("stuck", 1));
    await pump.start();
    await vi.advanceTimersByTimeAsync(1_000);
    ends.get("stuck-0")?.(new Error("the store is away"));
    await vi.advanceTimersByTimeAsync(1);
    expect(troubles).toMatchObject([{ type: "trouble", error: { message: "the store is away" } }]);
    await pump.stop();
  });

  it("asks only for its part of the index, dealt out among tasks that have RabbitMQ", async () => {
    const wanted: unknown[] = [];
    const { pump, asked } = setUp([], {
      owns: (duty, holders) => {
        wanted.push(holders);
        return duty === "due/3" || duty === "due/5";
      },
    });
    await pump.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(asked).toEqual([3, 5]);
    expect(new Set(wanted.map((holders) => JSON.stringify(holders)))).toEqual(new Set(['{"connected":true}']));
    await pump.stop();
  });

  it("brings a job at once that was made due just now, in whosever part of the index it is; and none once it may not", async () => {
    const { pump, brought, asked, state, ends, troubles } = setUp([], { owns: () => false });
    pump.hurry({ partition: "well", id: "next" });
    await vi.advanceTimersByTimeAsync(0);
    expect(brought).toEqual(["next"]);
    expect(asked).toEqual([]);
    pump.hurry({ partition: "stuck", id: "failing" });
    ends.get("failing")?.(new Error("the table is away"));
    await vi.advanceTimersByTimeAsync(0);
    expect(troubles).toMatchObject([{ type: "trouble", doing: "bringing the job failing to its queue" }]);
    state.may = false;
    pump.hurry({ partition: "well", id: "late" });
    await vi.advanceTimersByTimeAsync(0);
    expect(brought).toEqual(["next"]);
  });

  it("claims nothing more once it may not", async () => {
    const { pump, state, left } = setUp([...jobs("stuck", 50), ...jobs("well", 30)]);
    await pump.start();
    await vi.advanceTimersByTimeAsync(100);
    state.may = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(left).toHaveLength(30);
    await pump.stop();
  });
});
