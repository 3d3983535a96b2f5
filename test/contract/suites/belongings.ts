import { expect, it } from "vitest";
import type { BuriedStore } from "../../../core/job/buried.ts";
import type { CancelStore } from "../../../core/job/cancels.ts";
import type { NewParkedJob, ParkedStore } from "../../../core/job/parked.ts";
import type { SuspectStore } from "../../../core/job/suspects.ts";
import type { ExecutionKeyStore } from "../../../core/keys/execution-key-store.ts";
import type { QueueKeyStore } from "../../../core/keys/queue-key-store.ts";
import type { Belonging, Belongings } from "../../../core/partition/belongings.ts";
import type { Make } from "./world.ts";

interface Everything {
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly queueKeys: QueueKeyStore;
  readonly executionKeys: ExecutionKeyStore;
  readonly cancels: CancelStore;
  readonly suspects: SuspectStore;
  readonly belongings: Belongings;
}

export function belongingsSuite(make: Make<Everything>): void {
  const LIMIT = 3;
  const EACH = 7;

  const job = (partition: string, id: string): NewParkedJob => ({
    partition,
    id,
    enqueuedAt: 1_000,
    name: "send-invoice",
    queue: "mail",
    attempt: 1,
    reason: "outbox",
    due: 1_000,
    since: 1_000,
    body: "{}",
  });

  /** Some of each kind: a lock that is held, waiters, keys that are publishing and running. */
  async function fill(store: Everything, partition: string, now: number): Promise<void> {
    for (let i = 0; i < EACH; i++) {
      const id = `job-${i}`;
      const run = { job: id, enqueuedAt: 1_000, run: `boot.${i}`, task: "boot" };
      const key = { partition, key: `key-${i}` };
      await store.parked.park(job(partition, id));
      await store.buried.bury({
        ...job(partition, id),
        reason: "failed",
        buriedAt: now,
        error: { name: "Error", message: "no" },
        history: [],
      });
      await store.queueKeys.claim(key, { outbox: job(partition, id), due: now, now, takeDone: false });
      if (i % 2 === 0) await store.queueKeys.begin(key, run, 1, now);
      await store.executionKeys.acquire(key, run, now);
      await store.executionKeys.enlist(key, { job: "another", enqueuedAt: now });
      await store.cancels.mark(partition, id, now);
      await store.suspects.started(partition, id);
    }
  }

  /** How many are left of what `fill` wrote, by kind. */
  async function left(store: Everything, partition: string): Promise<Record<string, number>> {
    const ids = Array.from({ length: EACH }, (_, i) => i);
    const keys = await Promise.all(ids.map((i) => store.queueKeys.get({ partition, key: `key-${i}` })));
    const locks = await Promise.all(ids.map((i) => store.executionKeys.read({ partition, key: `key-${i}` })));
    const waiters = await Promise.all(ids.map((i) => store.executionKeys.waiters({ partition, key: `key-${i}` }, 10)));
    return {
      parked: (await store.parked.list(partition, { limit: 50 })).jobs.length,
      keys: keys.filter((key) => key !== undefined).length,
      buried: (await store.buried.list(partition, { limit: 50 })).jobs.length,
      locks: locks.filter((lock) => lock !== undefined).length,
      waiters: waiters.flat().length,
      cancels: (await store.cancels.list(partition)).length,
    };
  }

  const ALL = { parked: EACH, keys: EACH, buried: EACH, locks: EACH, waiters: EACH, cancels: EACH };
  const NONE = { parked: 0, keys: 0, buried: 0, locks: 0, waiters: 0, cancels: 0 };

  async function removeAll({ belongings }: Everything, partition: string, what: Belonging): Promise<number> {
    for (let rounds = 0; rounds < 100; rounds++) {
      if (!(await belongings.removeSome(partition, what, LIMIT))) return rounds;
    }
    throw new Error("there is always more");
  }

  it("go in bounded steps, what may become a message first, and those of others stay", async () => {
    const { store, clock } = await make();
    await fill(store, "acme", clock.now());
    await fill(store, "acme-2", clock.now());

    expect(await removeAll(store, "acme", "waiting")).toBeGreaterThanOrEqual(2 * Math.ceil(EACH / LIMIT));
    expect(await left(store, "acme")).toEqual({ ...ALL, parked: 0, keys: 0 });
    expect(await removeAll(store, "acme", "rest")).toBeGreaterThanOrEqual(5 * Math.ceil(EACH / LIMIT));
    expect(await left(store, "acme")).toEqual(NONE);
    expect(await store.suspects.started("acme", "job-0")).toBe(1);
    expect(await left(store, "acme-2")).toEqual(ALL);
    expect(await store.suspects.started("acme-2", "job-0")).toBe(2);
  });

  it("are none of a partition that has none", async () => {
    const { store } = await make();
    expect(await store.belongings.removeSome("acme", "waiting", LIMIT)).toBe(false);
    expect(await store.belongings.removeSome("acme", "rest", LIMIT)).toBe(false);
  });

  it("take keys before parked jobs: nothing that a pump parks from a key is left behind", async () => {
    const { store, clock } = await make();
    await fill(store, "acme", clock.now());
    while ((await left(store, "acme")).keys !== 0) await store.belongings.removeSome("acme", "waiting", LIMIT);
    expect((await left(store, "acme")).parked).toBe(EACH);
  });
}
