import { beforeEach, describe, expect, it } from "vitest";
import { InvalidInput } from "../../../core/contract/errors.ts";
import { applyCommand } from "../../../core/partition/commands.ts";
import { type Partition, shardOf } from "../../../core/partition/partition.ts";
import type { PartitionStore } from "../../../core/partition/partition-store.ts";
import { allPages, command, type Make, start, type TestClock } from "./world.ts";

const POOLS = { default: { mail: 3, default: 10 }, big: { mail: 1 } };
const WEEK = 7 * 24 * 3600 * 1000;

/** Rows, versions and lists. Shares have a suite of their own. */
export function partitionStoreSuite(make: Make<PartitionStore>): void {
  let store: PartitionStore;
  let clock: TestClock;
  beforeEach(async () => {
    ({ store, clock } = await make());
  });

  const raise = (partition: Partition, to = 1) =>
    store.moveShare({ partition: partition.id, revision: partition.revision, key: "default/mail", task: "task-1", from: 0, to, maxWorkers: 3 });
  const lower = (partition: Partition, from = 1) =>
    store.moveShare({ partition: partition.id, revision: partition.revision, key: "default/mail", task: "task-1", from, to: 0, maxWorkers: 3 });

  describe("commit", () => {
    it("creates a row whole, with an entry for each queue", async () => {
      const after = applyCommand("acme", undefined, { type: "start", pools: POOLS });
      expect(await store.commit(undefined, after)).toEqual(after);
      expect(await store.get("acme")).toEqual({
        id: "acme",
        status: "running",
        revision: 1,
        pools: POOLS,
        paused: [],
        held: { "default/mail": 0, "default/default": 0, "big/mail": 0 },
        shares: { "default/mail": {}, "default/default": {}, "big/mail": {} },
        cancelSeq: 0,
      });
    });

    it("takes a queue and a pool whose name every object answers to", async () => {
      const pools = { default: { constructor: 2 }, constructor: { constructor: 1, mail: 1 } };
      const before = await start(store, "acme", pools);
      expect(await store.get("acme")).toMatchObject({ pools, held: { "default/constructor": 0, "constructor/constructor": 0 } });
      expect((await command(store, "acme", { type: "reconfigure", pools: { default: { constructor: 3 } } })).revision).toBe(before.revision + 1);
      expect((await store.get("acme"))?.pools).toEqual({ default: { constructor: 3 } });
    });

    it("knows nothing of a partition that was never started", async () => {
      expect(await store.get("nobody")).toBeUndefined();
    });

    it("is refused when a row has come meanwhile", async () => {
      const after = applyCommand("acme", undefined, { type: "start", pools: POOLS });
      await store.commit(undefined, after);
      expect(await store.commit(undefined, { ...after, pools: {} })).toBeUndefined();
      expect((await store.get("acme"))?.pools).toEqual(POOLS);
    });

    it("is refused when another command moved the revision", async () => {
      const before = await start(store, "acme", POOLS);
      const paused = applyCommand("acme", before, { type: "pause", queue: "mail" });
      expect(await store.commit(before, paused)).toEqual(paused);
      expect(await store.commit(before, applyCommand("acme", before, { type: "stop" }))).toBeUndefined();
      expect(await store.get("acme")).toEqual(paused);
    });

    it("leaves shares alone, those taken since its read included", async () => {
      const before = await start(store, "acme", POOLS);
      expect((await raise(before, 2)).moved).toBe(true);
      const after = await store.commit(before, applyCommand("acme", before, { type: "reconfigure", pools: { default: { mail: 1, fresh: 4 } } }));
      expect(after?.pools).toEqual({ default: { mail: 1, fresh: 4 } });
      expect(after?.held).toEqual({ "default/mail": 2, "default/default": 0, "big/mail": 0, "default/fresh": 0 });
      expect(after?.shares["default/mail"]).toEqual({ "task-1": 2 });
      expect(after?.shares["default/fresh"]).toEqual({});
    });

    it("takes fifty new queues at once", async () => {
      const before = await start(store, "acme", POOLS);
      const queues = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`queue_with_quite_a_long_name_${i}`, 1]));
      const after = await command(store, "acme", { type: "reconfigure", pools: { default: queues } });
      expect(Object.keys(after.held)).toHaveLength(53);
      expect(after.revision).toBe(before.revision + 1);
    });

    it("takes fifty queues in and fifty out at once, and remembers those that are out", async () => {
      const queues = (letter: string) => Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${letter}_with_quite_a_long_name_${i}`, 1]));
      await start(store, "acme", { default: queues("a") });
      for (const letter of ["b", "c", "d"]) await command(store, "acme", { type: "reconfigure", pools: { default: queues(letter) } });
      const row = await store.get("acme");
      const left = [...Object.keys(queues("c")), ...Object.keys(queues("d"))].map((queue) => `default/${queue}`).sort();
      expect(Object.keys(row?.held ?? {}).sort()).toEqual(left);
      expect(Object.keys(row?.shares ?? {}).sort()).toEqual(left);
      expect((await store.formerQueues("acme")).sort()).toEqual([...Object.keys(queues("a")), ...Object.keys(queues("b"))].sort());
      expect(await store.formerQueues("acm")).toEqual([]);
    });

    it("lets a queue that was out be raised again once it is listed, and nothing raise it before", async () => {
      const first = await start(store, "acme", { default: { mail: 2, other: 1 } });
      const raise = (revision: number) =>
        store.moveShare({ partition: "acme", revision, key: "default/mail", task: "task-1", from: 0, to: 1, maxWorkers: 2 });
      for (const max of [1, 2]) await command(store, "acme", { type: "reconfigure", pools: { default: { other: max + 1 } } });
      for (let revision = first.revision; revision < 5; revision++) expect((await raise(revision)).moved).toBe(false);
      expect((await store.get("acme"))?.held).toEqual({ "default/other": 0 });
      const again = await command(store, "acme", { type: "reconfigure", pools: { default: { mail: 2 } } });
      expect((await raise(again.revision)).partition?.held["default/mail"]).toBe(1);
    });

    it("announces groups of rows", async () => {
      await store.announce([3, 5]);
      await store.announce([5]);
      const { version, shards } = await store.readVersion();
      expect([version, shards[3], shards[5], shards[4]]).toEqual([2, 1, 2, 0]);
    });

    it("lets one of many racing commands through", async () => {
      const before = await start(store, "acme", POOLS);
      const results = await Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          store.commit(before, applyCommand("acme", before, { type: "reconfigure", pools: { default: { mail: i + 20 } } })),
        ),
      );
      expect(results.filter((row) => row !== undefined)).toHaveLength(1);
      expect((await store.get("acme"))?.revision).toBe(2);
    });

    it("counts every one of racing commands that try again", async () => {
      await start(store, "acme", POOLS);
      await Promise.all(Array.from({ length: 8 }, (_, i) => command(store, "acme", { type: "reconfigure", pools: { default: { mail: i + 20 } } })));
      expect((await store.get("acme"))?.revision).toBe(9);
    });

    it("bumps the version and its group before and after", async () => {
      const before = await store.readVersion();
      expect(before).toEqual({ version: 0, shards: Array.from({ length: 64 }, () => 0) });
      await start(store, "acme", POOLS);
      const after = await store.readVersion();
      expect(after.version).toBe(2);
      expect(after.shards.map((count, shard) => [shard, count]).filter(([, count]) => count !== 0)).toEqual([[shardOf("acme"), 2]]);
    });
  });

  describe("a stop that was decided because nothing was held", () => {
    it.each(["safe_stop", "stop"] as const)("%s stands when it is still so", async (type) => {
      const before = await start(store, "acme", POOLS);
      expect((await store.commit(before, applyCommand("acme", before, { type })))?.status).toBe("stopped");
    });

    it("is refused when a task has taken a share since", async () => {
      const before = await start(store, "acme", POOLS);
      const after = applyCommand("acme", before, { type: "safe_stop" });
      expect(after.status).toBe("stopped");
      await raise(before);
      expect(await store.commit(before, after)).toBeUndefined();
      expect((await command(store, "acme", { type: "safe_stop" })).status).toBe("draining");
    });

    it("does not bind a stop that knows of shares", async () => {
      const before = await start(store, "acme", POOLS);
      await raise(before);
      expect((await command(store, "acme", { type: "stop" })).status).toBe("stopped");
    });
  });

  describe("settleDrained", () => {
    it("stops a draining partition once nothing is held, and bumps", async () => {
      const running = await start(store, "acme", POOLS);
      await raise(running);
      const draining = await command(store, "acme", { type: "safe_stop" });
      expect(draining.status).toBe("draining");
      expect(await store.settleDrained(draining)).toBe(false);
      await lower(draining);
      const { version } = await store.readVersion();
      expect(await store.settleDrained(draining)).toBe(true);
      expect(await store.get("acme")).toMatchObject({ status: "stopped", revision: draining.revision });
      expect((await store.readVersion()).version).toBeGreaterThan(version);
    });

    it("is done by one of many", async () => {
      const running = await start(store, "acme", POOLS);
      await raise(running);
      const draining = await command(store, "acme", { type: "safe_stop" });
      await lower(draining);
      const answers = await Promise.all(Array.from({ length: 16 }, () => store.settleDrained(draining)));
      expect(answers.filter(Boolean)).toHaveLength(1);
    });

    it("does not undo a start that came first", async () => {
      const running = await start(store, "acme", POOLS);
      await raise(running);
      const draining = await command(store, "acme", { type: "safe_stop" });
      await lower(draining);
      await start(store, "acme", POOLS);
      expect(await store.settleDrained(draining)).toBe(false);
      expect((await store.get("acme"))?.status).toBe("running");
    });

    it("leaves a running partition alone", async () => {
      expect(await store.settleDrained(await start(store, "acme", POOLS))).toBe(false);
    });
  });

  describe("bury", () => {
    async function deleting(): Promise<Partition> {
      const running = await start(store, "acme", POOLS);
      await raise(running);
      await command(store, "acme", { type: "stop" });
      return command(store, "acme", { type: "delete" });
    }

    it("waits until nothing is held, then leaves a tombstone with the revision", async () => {
      const row = await deleting();
      expect(await store.bury(row, clock.now())).toBe(false);
      await lower(row);
      expect(await store.bury(row, clock.now())).toBe(true);
      expect(await store.bury(row, clock.now())).toBe(false);
      expect(await store.get("acme")).toEqual({
        id: "acme",
        status: "deleted",
        revision: row.revision,
        pools: {},
        paused: [],
        held: {},
        shares: {},
        cancelSeq: 0,
      });
    });

    it("is only for a partition that is being deleted", async () => {
      const row = await start(store, "acme", POOLS);
      expect(await store.bury(row, clock.now())).toBe(false);
    });

    it("comes too late for the partition's next life", async () => {
      const first = await deleting();
      await lower(first);
      await store.bury(first, clock.now());
      await start(store, "acme", POOLS);
      await command(store, "acme", { type: "stop" });
      const second = await command(store, "acme", { type: "delete" });
      expect(await store.bury(first, clock.now())).toBe(false);
      expect(await store.get("acme")).toEqual(second);
    });

    it("keeps the tombstone out of lists, but shows it to workers", async () => {
      const row = await deleting();
      await lower(row);
      await store.bury(row, clock.now());
      expect((await store.list({ limit: 10 })).partitions).toEqual([]);
      expect((await store.readShard(shardOf("acme"))).map(({ status }) => status)).toEqual(["deleted"]);
    });

    it("lets a start go on from the tombstone's revision, with new maps, once", async () => {
      const row = await deleting();
      await lower(row);
      await store.bury(row, clock.now());
      const tombstone = await store.get("acme");
      const after = applyCommand("acme", tombstone, { type: "start", pools: { default: { mail: 2 } } });
      expect(await store.commit(tombstone, after)).toEqual(after);
      expect(await store.get("acme")).toEqual({
        id: "acme",
        status: "running",
        revision: row.revision + 1,
        pools: { default: { mail: 2 } },
        paused: [],
        held: { "default/mail": 0 },
        shares: { "default/mail": {} },
        cancelSeq: 0,
      });
      expect(await store.commit(tombstone, after)).toBeUndefined();
      clock.advance(WEEK + 1_000);
      expect((await store.get("acme"))?.status).toBe("running");
    });

    it("forgets the tombstone after its week, whether or not it is still in the table", async () => {
      const row = await deleting();
      await lower(row);
      await store.bury(row, clock.now());
      expect(await store.commit(undefined, applyCommand("acme", undefined, { type: "start", pools: POOLS }))).toBeUndefined();
      clock.advance(WEEK + 1_000);
      expect(await store.get("acme")).toBeUndefined();
      expect(await store.readShard(shardOf("acme"))).toEqual([]);
      expect((await start(store, "acme", POOLS)).revision).toBe(1);
    });
  });

  describe("list and readShard", () => {
    const ids = Array.from({ length: 23 }, (_, i) => `tenant.${i}-x_${i}`);

    it("shows every partition once, whatever the page size", async () => {
      await Promise.all(ids.map((id) => start(store, id, { default: { default: 1 } })));
      for (const limit of [1, 4, 100]) {
        const pages = await allPages(async (cursor) => {
          const page = await store.list({ limit, ...(cursor === undefined ? {} : { cursor }) });
          return { items: page.partitions.map(({ id }) => id), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
        });
        expect(pages.flat().sort()).toEqual([...ids].sort());
        expect(Math.max(...pages.map((page) => page.length))).toBeLessThanOrEqual(limit);
      }
    });

    it("filters by status", async () => {
      await Promise.all(ids.slice(0, 6).map((id) => start(store, id, { default: { default: 1 } })));
      await command(store, ids[2] ?? "", { type: "stop" });
      const pages = await allPages(async (cursor) => {
        const page = await store.list({ limit: 2, status: "stopped", ...(cursor === undefined ? {} : { cursor }) });
        return { items: page.partitions.map(({ id }) => id), ...(page.cursor === undefined ? {} : { cursor: page.cursor }) };
      });
      expect(pages.flat()).toEqual([ids[2]]);
    });

    it("refuses a cursor that no list gave", async () => {
      const foreign = (text: string) => Buffer.from(text).toString("base64url");
      for (const cursor of [
        "",
        "nonsense",
        "!!!!",
        foreign("partitions:64/"),
        foreign("partitions:1/a b"),
        foreign("parked:1"),
        foreign("partitions:-1/x"),
      ]) {
        const answer = store.list({ limit: 1, cursor });
        await expect(answer).rejects.toBeInstanceOf(InvalidInput);
        await expect(answer).rejects.toMatchObject({ field: "cursor" });
      }
    });

    it("reads one group and no other", async () => {
      await Promise.all(ids.map((id) => start(store, id, { default: { default: 1 } })));
      const byShard = Map.groupBy(ids, shardOf);
      for (const [shard, expected] of byShard) {
        expect((await store.readShard(shard)).map(({ id }) => id).sort()).toEqual([...expected].sort());
      }
    });
  });
}
