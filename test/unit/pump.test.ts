import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DEFAULT_TIMINGS, LIMITS } from "../../core/contract/limits.ts";
import { dueShard, dueShardsOf } from "../../core/job/due-shard.ts";
import type { DueRef, NewParkedJob, ParkedRef } from "../../core/job/parked.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { Pump } from "../../worker/pump.ts";
import type { Roster } from "../../worker/roster.ts";

const CLOCK = { now: () => Date.now(), monotonic: () => performance.now() };
const JOB = { enqueuedAt: 1, name: "n", queue: "mail", attempt: 1, reason: "outbox", body: "{}" } as const;
/** What the claim and the publish of a job take together. */
const BRING_MS = 20;

/** The index in memory, and a courier for which jobs of the partition `stuck` never come to an end. */
async function setUp(due: readonly ParkedRef[], options: { readonly owns?: Roster["owns"]; readonly bringMs?: number } = {}) {
  const { parked } = memoryStore({ clock: CLOCK });
  const state = { may: true, away: undefined as number | undefined };
  const looks: number[] = [];
  const brought: string[] = [];
  const troubles: WorkerEvent[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  let under = 0;
  let most = 0;
  const park = async ({ partition, id }: ParkedRef, at = Date.now()): Promise<void> => {
    await parked.park({ ...JOB, partition, id, due: at, since: at } satisfies NewParkedJob);
  };
  for (const ref of due) await park(ref);
  const courier = {
    async bring({ ref }: DueRef): Promise<void> {
      const { partition, id } = ref as ParkedRef;
      const job = await parked.claim(ref as ParkedRef, Date.now(), Date.now() + DEFAULT_TIMINGS.pumpClaim);
      if (job === undefined) throw new Error(`${id} is claimed twice`);
      under += 1;
      most = Math.max(most, under);
      try {
        if (partition === "stuck") {
          const before = ends.get(id);
          await new Promise<void>((resolve, reject) => {
            ends.set(id, (error) => {
              before?.();
              if (error) reject(error);
              else resolve();
            });
          });
        } else if (options.bringMs !== undefined) await new Promise((resolve) => setTimeout(resolve, options.bringMs));
        brought.push(id);
        await parked.remove(job, job.rev);
      } finally {
        under -= 1;
      }
    },
  };
  const pump = new Pump({
    parked: {
      due: async (shard, ...how) => {
        looks.push(shard);
        if (state.away === shard) throw new Error("the table is away");
        return parked.due(shard, ...how);
      },
    },
    courier,
    roster: { owns: options.owns ?? (() => true) },
    clock: CLOCK,
    timings: DEFAULT_TIMINGS,
    emit: (event) => void troubles.push(event),
    mayPump: () => state.may,
  });
  const left = async () => (await parked.list("well", { limit: 10_000 })).jobs.filter(({ claimed }) => !claimed).length;
  /** What has been begun is waited for. */
  const stop = async () => {
    const stopped = pump.stop();
    for (const end of ends.values()) end();
    await vi.advanceTimersByTimeAsync(1_000);
    await stopped;
  };
  return { pump, stop, park, brought, troubles, ends, looks, left, state, most: () => most };
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
    const { pump, stop, brought, ends } = await setUp([...jobs("stuck", 60), ...jobs("well", 30)]);
    await pump.start();
    await vi.advanceTimersByTimeAsync(1_100);
    expect(brought).toHaveLength(30);
    expect(ends.size).toBe(60);
    await stop();
  });

  it("leaves no more behind than the confirm window has room beside", async () => {
    const { pump, stop, most, ends, state } = await setUp(jobs("stuck", 400));
    await pump.start();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(most()).toBe(150);
    state.may = false;
    for (const end of ends.values()) end();
    await stop();
  });

  it("brings a job again that became due anew, though no end has come of the first time", async () => {
    const { pump, stop, park, most } = await setUp(jobs("stuck", 1));
    await pump.start();
    await vi.advanceTimersByTimeAsync(1_000);
    await park({ partition: "stuck", id: "stuck-0" });
    await vi.advanceTimersByTimeAsync(2 * DEFAULT_TIMINGS.pump);
    expect(most()).toBe(2);
    await stop();
  });

  it("tells of what fails after nobody waits for it any more", async () => {
    const { pump, stop, troubles, ends } = await setUp(jobs("stuck", 1));
    await pump.start();
    await vi.advanceTimersByTimeAsync(1_000);
    ends.get("stuck-0")?.(new Error("the store is away"));
    await vi.advanceTimersByTimeAsync(1);
    expect(troubles).toMatchObject([{ type: "trouble", error: { message: "the store is away" } }]);
    await stop();
  });

  it("ends once all that it began has ended, though no lane waits for it any more", async () => {
    const { pump, brought, ends } = await setUp(jobs("stuck", 2));
    await pump.start();
    await vi.advanceTimersByTimeAsync(1_000);
    let stopped = false;
    const stopping = pump.stop().then(() => {
      stopped = true;
    });
    ends.get("stuck-0")?.();
    await vi.advanceTimersByTimeAsync(5_000);
    expect({ stopped, brought }).toEqual({ stopped: false, brought: ["stuck-0"] });
    ends.get("stuck-1")?.();
    await stopping;
    expect(brought).toEqual(["stuck-0", "stuck-1"]);
  });

  it("asks only for its part of the index, dealt out among tasks that have RabbitMQ", async () => {
    const wanted: unknown[] = [];
    const { pump, stop, looks } = await setUp([], {
      owns: (duty, holders) => {
        wanted.push(holders);
        return duty === "due/3" || duty === "due/5";
      },
    });
    await pump.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(looks).toEqual([3, 5]);
    expect(new Set(wanted.map((holders) => JSON.stringify(holders)))).toEqual(new Set(['{"connected":true}']));
    await stop();
  });

  it("works on what it can read when a part of the index can't be, and says so once a look", async () => {
    const refs = jobs("well", 20);
    const { pump, stop, state, brought, troubles } = await setUp(refs);
    const [away] = dueShardsOf("well");
    state.away = away;
    await pump.start();
    await vi.advanceTimersByTimeAsync(DEFAULT_TIMINGS.pump - 1);
    expect([...brought].sort()).toEqual(refs.flatMap(({ id }) => (dueShard("well", id) === away ? [] : id)).sort());
    expect(troubles).toMatchObject([{ type: "trouble", doing: "looking for parked jobs", error: { message: "the table is away" } }]);
    await stop();
  });

  it("brings a job at once that was made due just now, in whosever part of the index it is; and none once it may not", async () => {
    const { pump, park, brought, looks, state, ends, troubles } = await setUp([], { owns: () => false });
    const hurry = async (ref: ParkedRef) => {
      await park(ref);
      pump.hurry(ref);
      await vi.advanceTimersByTimeAsync(0);
    };
    await hurry({ partition: "well", id: "next" });
    expect(brought).toEqual(["next"]);
    expect(looks).toEqual([]);
    await hurry({ partition: "stuck", id: "failing" });
    ends.get("failing")?.(new Error("the table is away"));
    await vi.advanceTimersByTimeAsync(0);
    expect(troubles).toMatchObject([{ type: "trouble", doing: "bringing the parked job stuck/failing to its queue" }]);
    state.may = false;
    await hurry({ partition: "well", id: "late" });
    expect(brought).toEqual(["next"]);
  });

  it("claims nothing more once it may not", async () => {
    const { pump, stop, state, left } = await setUp([...jobs("stuck", 100), ...jobs("well", 100)]);
    const done = pump.start();
    await vi.advanceTimersByTimeAsync(0);
    state.may = false;
    await done;
    const before = await left();
    expect(before).toBeGreaterThan(0);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await left()).toBe(before);
    await stop();
  });
});

describe("a flood of one tenant's due jobs", () => {
  const FLOOD = 6_000;
  /** Both of whose keys of the index are those of the flood: nobody is hit harder. */
  const neighbour = Array.from({ length: 10_000 }, (_, i) => `tenant-${i}`).find(
    (partition) => String([...dueShardsOf(partition)].sort()) === String([...dueShardsOf("flood")].sort()),
  );

  it("delays another's job that falls due behind it by no more than one look", async () => {
    const { pump, stop, park, brought, looks } = await setUp(jobs("flood", FLOOD), { bringMs: BRING_MS });
    await vi.advanceTimersByTimeAsync(1);
    await pump.start();
    await vi.advanceTimersByTimeAsync(300);
    expect(brought.length).toBeGreaterThan(100);
    await park({ partition: neighbour ?? "", id: "alone" });
    const before = looks.length;
    while (!brought.includes("alone")) await vi.advanceTimersByTimeAsync(BRING_MS);
    expect(brought.length).toBeLessThan(FLOOD);
    // Two looks at the most: each key once, those of the flood from both ends.
    expect(looks.length - before).toBeLessThanOrEqual(2 * (LIMITS.dueShards + 2));
    await stop();
  });

  it("gets all the lanes while nobody else has anything due, each job once", async () => {
    const { pump, stop, brought, most } = await setUp(jobs("flood", FLOOD), { bringMs: BRING_MS });
    await pump.start();
    await vi.advanceTimersByTimeAsync((FLOOD / 50) * BRING_MS + 2_000);
    expect(most()).toBe(50);
    expect(brought).toHaveLength(FLOOD);
    expect(new Set(brought).size).toBe(FLOOD);
    await stop();
  });

  it("and that of another share the lanes, whoever came first", async () => {
    const { pump, stop, park, brought } = await setUp(jobs("flood", 500), { bringMs: BRING_MS });
    await vi.advanceTimersByTimeAsync(1);
    for (const ref of jobs("second", 500)) await park(ref);
    await pump.start();
    await vi.advanceTimersByTimeAsync(10 * BRING_MS);
    const seconds = brought.filter((id) => id.startsWith("second")).length;
    expect(seconds / brought.length).toBeCloseTo(0.5, 1);
    await stop();
  });
});
