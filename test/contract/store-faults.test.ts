import { describe, expect, it } from "vitest";
import { applyCommand } from "../../core/partition/commands.ts";
import { type Partition, shardOf } from "../../core/partition/partition.ts";
import { openDocument } from "../../store/client.ts";
import { StoreRefused, StoreUnavailable } from "../../store/errors.ts";
import { openStore, type Store } from "../../store/store.ts";
import { createTable } from "../../store/table.ts";
import { type DynaliteWorld, useDynalite } from "./suites/dynalite.ts";
import { breakable, Crash } from "./suites/network.ts";
import { NOW, PARKED, PROTOCOLS, row, running } from "./suites/protocols.ts";
import { command } from "./suites/world.ts";

const { open } = useDynalite();

function expectLike(actual: unknown, expected: unknown): void {
  if (typeof expected === "object" && expected !== null) expect(actual).toMatchObject(expected);
  else expect(actual).toEqual(expected);
}

const TRIES = 3;

describe.each(PROTOCOLS)("$name, its replies lost", (protocol) => {
  const see = protocol.see ?? row;

  async function prepared() {
    const { document, store } = await open();
    await protocol.prepare?.(store);
    return { store, network: breakable(document) };
  }

  it("is done in as many writes as are tested here", async () => {
    const { store, network } = await prepared();
    expectLike(await protocol.act(store), protocol.answer);
    expect(network.writes()).toBe(protocol.writes);
    expectLike(await see(store), protocol.seen);
  });

  it.each(Array.from({ length: protocol.writes }, (_, write) => write))(
    "once, at write %i: the SDK repeats it, and nothing is counted twice",
    async (write) => {
      const { store, network } = await prepared();
      network.loseReply(write, 1);
      const answer = await protocol.act(store);
      if (protocol.atLeast) expect(answer).toBeGreaterThanOrEqual(protocol.answer as number);
      else expectLike(answer, protocol.answer);
      expectLike(await see(store), protocol.seen);
    },
  );

  it.each(Array.from({ length: protocol.writes }, (_, write) => write))(
    "at write %i and at every repetition: it finds out, or says that it does not know",
    async (write) => {
      const { store, network } = await prepared();
      network.loseReply(write, TRIES);
      if (protocol.unmarked?.includes(write)) {
        await expect(protocol.act(store)).rejects.toBeInstanceOf(StoreUnavailable);
        const again = await protocol.act(store);
        if (protocol.atLeast) expect(again).toBeGreaterThanOrEqual(protocol.answer as number);
        else expectLike(again, protocol.answer);
      } else {
        expectLike(await protocol.act(store), protocol.answer);
      }
      expectLike(await see(store), protocol.seen);
    },
  );
});

describe("a write that was overtaken before its repetition", () => {
  /** Two processes on one table; the first one's next write loses its reply, and only then acts the second. */
  async function two() {
    const world = await open();
    const document = openDocument({ endpoint: world.endpoint });
    const other = openStore({ ...world, document });
    return { ...world, other, network: breakable(world.document), [Symbol.dispose]: () => document.destroy() };
  }
  const raiseTo = (store: Store, task: string, to: number, revision = 1) =>
    store.partitions.moveShare({ partition: "acme", revision, key: "default/mail", task, from: 0, to, maxWorkers: 5 });

  it("a command knows its row again though shares have moved since", async () => {
    using world = await two();
    const before = await running(world.other);
    world.network.loseReply(1, 1, () => raiseTo(world.other, "task-2", 2, 2));
    const after = await world.store.partitions.commit(before, applyCommand("acme", before, { type: "pause", queue: "mail" }));
    expect(after).toMatchObject({ revision: 2, paused: ["mail"], held: { "default/mail": 2 } });
  });

  it("a safe stop knows its row again though it has come to rest since", async () => {
    using world = await two();
    await running(world.other);
    await raiseTo(world.other, "task-2", 2);
    const before = await row(world.other);
    world.network.loseReply(1, 1, async () => {
      await world.other.partitions.evictShare("acme", "default/mail", "task-2", 2);
      expect(await world.other.partitions.settleDrained(await row(world.other))).toBe(true);
    });
    const after = await world.store.partitions.commit(before, applyCommand("acme", before, { type: "safe_stop" }));
    expect(after).toMatchObject({ revision: 2, status: "stopped" });
  });

  it("a command gives way to one that was decided on its result", async () => {
    using world = await two();
    const before = await running(world.other);
    world.network.loseReply(1, 1, () => command(world.other.partitions, "acme", { type: "stop" }));
    expect(await world.store.partitions.commit(before, applyCommand("acme", before, { type: "pause", queue: "mail" }))).toBeUndefined();
    expect(await row(world.store)).toMatchObject({ revision: 3, status: "stopped", paused: ["mail"] });
  });

  it("a raise is counted once though others raise and a command comes", async () => {
    using world = await two();
    await running(world.other);
    world.network.loseReply(0, 1, async () => {
      await raiseTo(world.other, "task-2", 3);
      await command(world.other.partitions, "acme", { type: "stop" });
    });
    expect(await raiseTo(world.store, "task-1", 2)).toMatchObject({ moved: true, partition: { status: "stopped", held: { "default/mail": 5 } } });
  });

  it("a raise whose task was evicted says that nothing is held", async () => {
    using world = await two();
    await running(world.other);
    world.network.loseReply(0, 1, async () => {
      await world.other.partitions.evictShare("acme", "default/mail", "task-1", 2);
      await command(world.other.partitions, "acme", { type: "stop" });
    });
    expect(await raiseTo(world.store, "task-1", 2)).toMatchObject({
      moved: false,
      partition: { held: { "default/mail": 0 }, shares: { "default/mail": {} } },
    });
  });

  it("a claim is given up when the job was parked anew", async () => {
    using world = await two();
    await world.other.parked.park(PARKED);
    world.network.loseReply(0, 1, () => world.other.parked.park({ ...PARKED, attempt: 2, due: NOW + 5_000 }));
    expect(await world.store.parked.claim(PARKED, NOW, NOW + 30_000)).toBeUndefined();
    expect(await world.store.parked.get(PARKED)).toMatchObject({ attempt: 2, due: NOW + 5_000 });
  });

  it("an end of a scaling pass stands though a wish came after it", async () => {
    using world = await two();
    await world.store.scale.begin("a", NOW, NOW + 1_000);
    world.network.loseReply(0, 1, () => world.other.scale.wish());
    expect(await world.store.scale.finish("a", 0, {})).toBe(true);
    expect(await world.other.scale.begin("b", NOW, NOW + 1_000)).toEqual({ pools: {}, wish: 1 });
  });
});

describe("a command whose Lambda dies", () => {
  async function crashing(write: number): Promise<DynaliteWorld & { readonly before: Partition; readonly counters: readonly number[] }> {
    const world = await open();
    const before = await running(world.store);
    const { shards } = await world.store.partitions.readVersion();
    const doomed = openStore(world);
    breakable(world.document).crashBefore(write);
    const answer = doomed.partitions.commit(before, applyCommand("acme", before, { type: "pause", queue: "mail" }));
    await expect(answer).rejects.toMatchObject({ cause: expect.any(Crash) });
    return { ...world, before, counters: shards };
  }

  const bumps = async ({ store, counters }: { readonly store: Store; readonly counters: readonly number[] }) => {
    const shard = shardOf("acme");
    return ((await store.partitions.readVersion()).shards[shard] ?? 0) - (counters[shard] ?? 0);
  };

  it("before the first bump has done nothing", async () => {
    const world = await crashing(0);
    expect(await bumps(world)).toBe(0);
    expect(await row(world.store)).toEqual(world.before);
  });

  it("between bump and write has only called for a look", async () => {
    const world = await crashing(1);
    expect(await bumps(world)).toBe(1);
    expect(await row(world.store)).toEqual(world.before);
  });

  it("between write and bump is seen by the second look that the first bump called for", async () => {
    const world = await crashing(2);
    expect(await bumps(world)).toBe(1);
    expect(await row(world.store)).toMatchObject({ revision: 2, paused: ["mail"] });
  });
});

describe("DynamoDB's own refusals", () => {
  it("is away: StoreUnavailable, the SDK's error as its cause", async () => {
    const document = openDocument({ endpoint: "http://127.0.0.1:1" });
    const { clock } = await open();
    const store = openStore({ document, table: "any", clock });
    const asked = [store.partitions.get("acme"), store.parked.park(PARKED), store.tasks.leases(), store.scale.wish(), createTable(document, "any")];
    for (const answer of await Promise.allSettled(asked)) {
      expect(answer).toMatchObject({ status: "rejected", reason: { code: "store_unavailable", cause: { code: "ECONNREFUSED" } } });
      expect(answer).toHaveProperty("reason", expect.any(StoreUnavailable));
    }
    document.destroy();
  });

  it("has no such table: StoreRefused", async () => {
    const { document, clock } = await open();
    const store = openStore({ document, table: "no-such-table", clock });
    const asked = [store.partitions.get("acme"), store.parked.park(PARKED), store.parked.dueRefs(0, NOW, 1)];
    for (const answer of await Promise.allSettled(asked)) expect(answer).toHaveProperty("reason", expect.any(StoreRefused));
  });

  it("takes no item above its bound: StoreRefused, nothing written", async () => {
    const { store } = await open();
    await expect(store.parked.park({ ...PARKED, body: "x".repeat(401 * 1024) })).rejects.toMatchObject({ code: "store_refused" });
    expect(await store.parked.get(PARKED)).toBeUndefined();
  });

  it("has the table already: createTable is content", async () => {
    const { document, table } = await open();
    await Promise.all([createTable(document, table), createTable(document, table)]);
  });
});
