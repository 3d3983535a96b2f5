import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { QueueKey } from "../../../core/contract/names.ts";
import { heldOf, type Partition, shareOf } from "../../../core/partition/partition.ts";
import type { PartitionStore, ShareMove } from "../../../core/partition/partition-store.ts";
import { command, type Make, start } from "./world.ts";

const KEY: QueueKey = "default/mail";
const TASK = "0192f-boot.id-1";

/** The law of shares: `held` is the sum of the shares, and no raise brings it above `max_workers`. */
export function shareSuite(make: Make<PartitionStore>): void {
  let store: PartitionStore;
  let row: Partition;
  beforeEach(async () => {
    ({ store } = await make());
    row = await start(store, "acme.corp-1", { default: { mail: 5, default: 2 } });
  });

  const move = (change: Partial<ShareMove>) =>
    store.moveShare({ partition: row.id, revision: row.revision, key: KEY, task: TASK, from: 0, to: 1, maxWorkers: 5, ...change });

  describe("moveShare", () => {
    it("raises from nothing, up to max_workers exactly", async () => {
      const { moved, partition } = await move({ to: 5 });
      expect(moved).toBe(true);
      expect(partition).toEqual({ ...row, held: { ...row.held, [KEY]: 5 }, shares: { ...row.shares, [KEY]: { [TASK]: 5 } } });
      expect(await store.get(row.id)).toEqual(partition);
    });

    it("refuses more than max_workers, over all tasks", async () => {
      expect((await move({ to: 6 })).moved).toBe(false);
      await move({ to: 3 });
      const refused = await move({ task: "other", to: 3 });
      expect(refused.moved).toBe(false);
      expect(refused.partition?.shares[KEY]).toEqual({ [TASK]: 3 });
      expect((await move({ task: "other", to: 2 })).moved).toBe(true);
    });

    it("refuses a raise under another revision, and shows the row", async () => {
      const newer = await command(store, row.id, { type: "pause", queue: "mail" });
      expect(await move({})).toEqual({ moved: false, partition: newer });
    });

    it.each(["stop", "safe_stop"] as const)("refuses a raise after %s", async (type) => {
      await move({});
      const { revision } = await command(store, row.id, { type });
      expect((await move({ revision, from: 1, to: 2 })).moved).toBe(false);
    });

    it("refuses a move from a share that it does not have", async () => {
      await move({ to: 2 });
      for (const change of [
        { from: 0, to: 1 },
        { from: 1, to: 3 },
        { from: 3, to: 1 },
        { from: 3, to: 0 },
        { from: 0, to: 2 },
      ]) {
        const answer = await move(change);
        expect(answer.moved).toBe(false);
        expect(answer.partition && shareOf(answer.partition, KEY, TASK)).toBe(2);
      }
    });

    it("lowers under any revision and status, and leaves no entry of nothing", async () => {
      await move({ to: 3 });
      await command(store, row.id, { type: "stop" });
      const lowered = await move({ revision: 0, from: 3, to: 1 });
      expect(lowered.moved).toBe(true);
      expect(lowered.partition?.shares[KEY]).toEqual({ [TASK]: 1 });
      const gone = await move({ revision: 0, from: 1, to: 0 });
      expect(gone.partition?.shares[KEY]).toEqual({});
      expect(gone.partition?.held[KEY]).toBe(0);
    });

    it("takes staying for a question", async () => {
      await move({ to: 2 });
      expect((await move({ from: 2, to: 2 })).moved).toBe(true);
      expect((await move({ from: 1, to: 1 })).moved).toBe(false);
    });

    it("refuses what is not there: a queue, a partition", async () => {
      expect((await move({ key: "default/unknown" })).moved).toBe(false);
      expect(await move({ partition: "nobody" })).toEqual({ moved: false, partition: undefined });
    });

    it("never exceeds max_workers when 64 tasks raise at once", async () => {
      const answers = await Promise.all(Array.from({ length: 64 }, (_, i) => move({ task: `task-${i}`, to: 1 + (i % 2) })));
      const after = await store.get(row.id);
      const moved = answers.filter((answer) => answer.moved);
      expect(after && heldOf(after, KEY)).toBe(5);
      expect(Object.keys(after?.shares[KEY] ?? {})).toHaveLength(moved.length);
      expect(Math.max(...moved.map(({ partition }) => (partition ? heldOf(partition, KEY) : 0)))).toBeLessThanOrEqual(5);
    });
  });

  describe("evictShare", () => {
    it("takes away exactly the share that was seen, once", async () => {
      await move({ to: 3 });
      await move({ task: "other", to: 1 });
      expect(await store.evictShare(row.id, KEY, TASK, 2)).toBe(false);
      const answers = await Promise.all(Array.from({ length: 8 }, () => store.evictShare(row.id, KEY, TASK, 3)));
      expect(answers.filter(Boolean)).toHaveLength(1);
      expect((await store.get(row.id))?.held[KEY]).toBe(1);
    });

    it("finds nothing in an unknown partition", async () => {
      expect(await store.evictShare("nobody", KEY, TASK, 1)).toBe(false);
    });
  });

  it("keeps held the sum of the shares under any mix of moves, evictions and commands", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(STEP, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 }), async (rounds) => {
        const id = `property-${run++}`;
        await start(store, id, { default: { mail: 4, default: 2 } });
        for (const steps of rounds) {
          const seen = await store.get(id);
          // The steps of one round all act on the same read: most are stale by the time they land.
          await Promise.all(steps.map((step) => apply(store, seen as Partition, step)));
          expectSum((await store.get(id)) as Partition);
        }
        await drain(store, id);
      }),
      { numRuns: 12 },
    );
  });
}

const KEYS: readonly QueueKey[] = ["default/mail", "default/default"];
type Step =
  | { readonly kind: "move" | "evict"; readonly task: string; readonly key: QueueKey; readonly to: number; readonly stale: boolean }
  | { readonly kind: "command"; readonly type: "start" | "stop" | "safe_stop" | "settle"; readonly max: number };

const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("move" as const, "move" as const, "evict" as const),
      task: fc.constantFrom("task-1", "task-2", "task-3"),
      key: fc.constantFrom(...KEYS),
      to: fc.integer({ min: 0, max: 4 }),
      stale: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("command" as const),
      type: fc.constantFrom("start", "stop", "safe_stop", "settle"),
      max: fc.integer({ min: 0, max: 5 }),
    }),
  },
);

async function apply(store: PartitionStore, seen: Partition, step: Step): Promise<void> {
  const { id, revision } = seen;
  if (step.kind === "command") {
    if (step.type === "settle") await store.settleDrained(seen);
    else if (step.type === "start") await start(store, id, { default: { mail: step.max, default: 2 } });
    else if (seen.status === "running") await command(store, id, { type: step.type }).catch(alreadyStopped);
    return;
  }
  const from = shareOf(seen, step.key, step.task) + (step.stale ? 1 : 0);
  if (step.kind === "evict") {
    if (from > 0) await store.evictShare(id, step.key, step.task, from);
    return;
  }
  const maxWorkers = seen.pools.default?.[step.key.slice("default/".length)] ?? 0;
  const { moved, partition } = await store.moveShare({ partition: id, revision, key: step.key, task: step.task, from, to: step.to, maxWorkers });
  if (moved && step.to > from) expect(partition && heldOf(partition, step.key)).toBeLessThanOrEqual(maxWorkers);
}

/** Two stops of one round: the second finds nothing to stop. */
function alreadyStopped(error: unknown): void {
  expect(error).toMatchObject({ code: "not_running" });
}

function expectSum(partition: Partition): void {
  for (const key of KEYS) {
    const shares = Object.values(partition.shares[key] ?? {});
    expect(shares.every((share) => share > 0)).toBe(true);
    expect(heldOf(partition, key)).toBe(shares.reduce((sum, share) => sum + share, 0));
  }
}

/** Whatever happened: once all is given back, the partition stops by itself. This is what rests on the sums. */
async function drain(store: PartitionStore, id: string): Promise<void> {
  const running = await start(store, id, { default: { mail: 5, default: 2 } });
  if (heldOf(running, "default/mail") < 5 && shareOf(running, "default/mail", "last") === 0) {
    await store.moveShare({ partition: id, revision: running.revision, key: "default/mail", task: "last", from: 0, to: 1, maxWorkers: 5 });
  }
  const draining = await command(store, id, { type: "safe_stop" });
  expect(draining.status).toBe("draining");
  for (const key of KEYS) {
    for (const [task, share] of Object.entries(draining.shares[key] ?? {})) {
      expect(await store.settleDrained(draining)).toBe(false);
      expect(await store.evictShare(id, key, task, share)).toBe(true);
    }
  }
  expect(await store.settleDrained(draining)).toBe(true);
}
