import { describe, expect, it } from "vitest";
import type { MemoryStore } from "../../testing/memory-store.ts";
import { explore, wander } from "./explore.ts";
import { CANCELLED_ANEW, type Setup } from "./setup.ts";

const jobs = ["A", "B"].map((name) => ({ name, executionKey: "k" }));

/** What a search finds in a setup that is broken: by every way at first, as far as that goes, then by chance. */
async function finding(setup: Setup, executions = 200): Promise<string | undefined> {
  const found = await explore(setup, executions);
  if (found.violation !== undefined) return found.violation.what;
  for (let seed = 1; seed <= 400; seed++) {
    const { violation } = await wander(setup, seed);
    if (violation !== undefined) return violation.what;
  }
  return undefined;
}

/** A search that finds nothing proves little unless it finds what is broken on purpose. */
describe("the search finds", { timeout: 120_000 }, () => {
  it("a waiter that does not look at the lock again", async () => {
    const sabotage = (store: MemoryStore): MemoryStore => ({
      ...store,
      executionKeys: { ...store.executionKeys, read: async () => ({ holder: "somebody", run: "?/1", task: "?", token: 1 }) },
    });
    expect(await finding({ jobs, tasks: 1, queued: true, timeless: true, sabotage })).toMatch(/lost|still parked/);
  });

  it("a releaser that wakes nobody", async () => {
    const sabotage = (store: MemoryStore): MemoryStore => ({ ...store, parked: { ...store.parked, expedite: async () => "on_its_way" } });
    expect(await finding({ jobs, tasks: 1, queued: true, timeless: true, sabotage })).toMatch(/lost|still parked/);
  });

  it("a lock that is anybody's", async () => {
    const sabotage = (store: MemoryStore): MemoryStore => ({
      ...store,
      executionKeys: { ...store.executionKeys, acquire: async () => ({ acquired: true, token: 1 }) },
    });
    expect(await finding({ jobs, tasks: 1, queued: true, sabotage })).toMatch(/run at once/);
  });

  it("a pump that deletes whatever it finds", async () => {
    const sabotage = (store: MemoryStore): MemoryStore => ({
      ...store,
      parked: {
        ...store.parked,
        remove: async (ref) => {
          const found = await store.parked.get(ref);
          return found !== undefined && store.parked.remove(ref, found.rev);
        },
      },
    });
    expect(await finding({ jobs, tasks: 2, queued: true, budget: { losses: 1, jumps: 2 }, sabotage })).toMatch(/lost/);
  });

  it("a queue key that a run keeps when it ends", async () => {
    const sabotage = (store: MemoryStore): MemoryStore => ({ ...store, queueKeys: { ...store.queueKeys, finish: async () => true } });
    expect(await finding({ jobs: [{ name: "A", queueKey: "q" }], tasks: 1, sabotage })).toMatch(/still running/);
  });

  it("a retry that overrules only the last of two cancels", async () => {
    const sabotage = (store: MemoryStore): MemoryStore => ({
      ...store,
      cancels: {
        ...store.cancels,
        get: async (partition, id) => {
          const mark = await store.cancels.get(partition, id);
          return mark === undefined ? undefined : { id, at: mark.at, rev: mark.rev };
        },
      },
    });
    expect(await finding({ ...CANCELLED_ANEW, sabotage })).toMatch(/lost/);
  });

  it("a copy that is dropped without barring the key of a forgotten job", async () => {
    const sabotage = (store: MemoryStore): MemoryStore => ({ ...store, queueKeys: { ...store.queueKeys, bar: async () => true } });
    const late = { name: "A", queueKey: "q", late: true };
    const budget = { losses: 1, purges: 1 };
    expect(await finding({ jobs: [late], tasks: 1, queued: true, budget, sabotage }, 2_000)).toMatch(/still queued/);
  });
});
