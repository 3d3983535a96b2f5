import { beforeEach, describe, expect, it } from "vitest";
import { DUE_SHARDS, dueShard, dueShardsOf } from "../../../core/job/due-shard.ts";
import type { NewParkedJob, ParkedStore } from "../../../core/job/parked.ts";
import { keyHash } from "../../../core/keys/key-hash.ts";
import type { QueueKeyStore } from "../../../core/keys/queue-key-store.ts";
import type { Make, TestClock } from "./world.ts";

/** Parked jobs and queue keys that are their own outbox lie in one index, each in the one of its partition's shares that its id or hash belongs to. */
export function dueIndexSuite(make: Make<{ readonly parked: ParkedStore; readonly queueKeys: QueueKeyStore }>): void {
  let parked: ParkedStore;
  let queueKeys: QueueKeyStore;
  let clock: TestClock;
  beforeEach(async () => {
    ({
      store: { parked, queueKeys },
      clock,
    } = await make());
  });

  const partition = "acme.corp-1";
  const shardOf = (name: string) => dueShard(partition, name);
  const jobOf = (id: string, due: number): NewParkedJob => ({
    partition,
    id,
    enqueuedAt: 1_000,
    name: "send-invoice",
    queue: "mail",
    attempt: 1,
    reason: "outbox",
    due,
    since: clock.now(),
    body: "{}",
  });
  const claim = (key: string, due: number) =>
    queueKeys.claim({ partition, key }, { outbox: jobOf(`of ${key}`, due), due, now: clock.now(), takeDone: false });
  const refOfKey = (key: string, at: number) => ({ kind: "queue_key", ref: { partition, hash: keyHash(key) }, at });
  const due = async (now: number, limit = 100) => (await Promise.all(DUE_SHARDS.map((shard) => parked.due(shard, now, limit)))).flat();

  it("suggests both kinds, oldest first", async () => {
    const now = clock.now();
    const [shard] = dueShardsOf(partition);
    const names = Array.from({ length: 400 }, (_, i) => `n-${i}`);
    const ids = names.filter((name) => shardOf(name) === shard).slice(0, 4);
    const keys = names.filter((name) => shardOf(keyHash(name)) === shard).slice(0, 4);
    await Promise.all(ids.map((id, i) => parked.park(jobOf(id, now - 10 * i))));
    await Promise.all(keys.map((key, i) => claim(key, now - 10 * i - 5)));
    const expected = ids
      .flatMap((id, i) => [{ kind: "parked", ref: { partition, id }, at: now - 10 * i }, refOfKey(keys[i] ?? "", now - 10 * i - 5)])
      .reverse();
    expect(await parked.due(shard, now, 100)).toEqual(expected);
    expect(await parked.due(shard, now, 3)).toEqual(expected.slice(0, 3));
    expect(await parked.due(shard, now, 3, "newest")).toEqual(expected.toReversed().slice(0, 3));
    expect(await due(now)).toHaveLength(8);
  });

  describe("a queue key is in it", () => {
    const KEY = "invoice:1";
    const REF = { partition, key: KEY };
    const first = () => refOfKey(KEY, clock.now() + 10_000);
    const run = { job: `of ${KEY}`, enqueuedAt: 1_000, run: "boot-1.1", task: "boot-1" };
    beforeEach(async () => {
      expect(await claim(KEY, clock.now() + 10_000)).toEqual({ claimed: true });
    });

    it("from when its outbox is due", async () => {
      expect(await due(clock.now() + 9_999)).toEqual([]);
      expect(await due(clock.now() + 10_000)).toEqual([first()]);
      expect(await parked.due(shardOf(keyHash(KEY)), clock.now() + 10_000, 1)).toEqual([first()]);
    });

    it("at its new time once a pump has it", async () => {
      const now = clock.now() + 10_000;
      await queueKeys.claimOutbox({ partition, hash: keyHash(KEY) }, now, now + 30_000);
      expect(await due(now)).toEqual([]);
      expect(await due(now + 30_000)).toEqual([refOfKey(KEY, now + 30_000)]);
    });

    it.each([
      ["published", () => queueKeys.published(REF, run)],
      ["running", () => queueKeys.begin(REF, run, 1, clock.now())],
      ["released", () => queueKeys.release(REF, run, 99, clock.now() + 1_000)],
    ])("and no longer once it is %s", async (_, act) => {
      await act();
      expect(await due(clock.now() + 99_000)).toEqual([]);
    });
  });
}
