import { describe, expect, it } from "vitest";
import { applyCommand } from "../../core/partition/commands.ts";
import { type Partition, shardOf } from "../../core/partition/partition.ts";
import { cancelStore } from "../../store/cancels.ts";
import { openDocument } from "../../store/client.ts";
import { StoreRefused, StoreUnavailable } from "../../store/errors.ts";
import { openStore, type Store } from "../../store/store.ts";
import { createTable } from "../../store/table.ts";
import { useDynalite } from "./suites/dynalite.ts";
import { claimKey, freeLock, heldKey, KEY_PROTOCOLS, ME, OTHER, REF } from "./suites/key-protocols.ts";
import { breakable, Crash } from "./suites/network.ts";
import { PARKED, PARKED_PROTOCOLS } from "./suites/parked-protocols.ts";
import { NOW, PROTOCOLS, row, running } from "./suites/protocols.ts";
import type { TableWorld } from "./suites/table.ts";
import { command } from "./suites/world.ts";

const { open } = useDynalite();

function expectLike(actual: unknown, expected: unknown): void {
  if (typeof expected === "object" && expected !== null) expect(actual).toMatchObject(expected);
  else expect(actual).toEqual(expected);
}

const TRIES = 3;

describe.each([...PROTOCOLS, ...PARKED_PROTOCOLS, ...KEY_PROTOCOLS])("$name, its replies lost", (protocol) => {
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

  it("a lowering does not take away what its task has raised again since", async () => {
    using world = await two();
    await running(world.other);
    await raiseTo(world.other, "task-1", 5);
    const move = (store: Store, from: number, to: number) =>
      store.partitions.moveShare({ partition: "acme", revision: 1, key: "default/mail", task: "task-1", from, to, maxWorkers: 5 });
    world.network.loseReply(0, 1, () => move(world.other, 3, 5));
    expect((await move(world.store, 5, 3)).moved).toBe(false);
    expect(await row(world.store)).toMatchObject({ held: { "default/mail": 5 }, shares: { "default/mail": { "task-1": 5 } } });
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

  it("a renewal that the SDK repeats after the next one has landed changes nothing, and the task learns that it lives", async () => {
    using world = await two();
    const state = { free: 1, full: false, connected: true };
    await world.other.tasks.register({ ...state, boot: "task-1", pool: "default", slots: 10, beat: 1, draining: false, dead: false });
    world.network.loseReply(0, 1, () => world.other.tasks.renew("task-1", { ...state, beat: 3, draining: true }));
    expect(await world.store.tasks.renew("task-1", { ...state, beat: 2, draining: false })).toBe(true);
    expect(await world.store.tasks.leases()).toMatchObject([{ beat: 3, draining: true }]);
  });

  it("a renewal whose task was declared dead before its repetition says so", async () => {
    using world = await two();
    const state = { free: 1, full: false, connected: true, draining: false };
    await world.other.tasks.register({ ...state, boot: "task-1", pool: "default", slots: 10, beat: 1, dead: false });
    world.network.loseReply(0, 1, () => world.other.tasks.declareDead("task-1", 2, NOW));
    expect(await world.store.tasks.renew("task-1", { ...state, beat: 2 })).toBe(false);
  });

  it("a claim is given up when the job was parked anew", async () => {
    using world = await two();
    await world.other.parked.park(PARKED);
    world.network.loseReply(0, 1, () => world.other.parked.park({ ...PARKED, attempt: 2, due: NOW + 5_000 }));
    expect(await world.store.parked.claim(PARKED, NOW, NOW + 30_000)).toBeUndefined();
    expect(await world.store.parked.get(PARKED)).toMatchObject({ attempt: 2, due: NOW + 5_000 });
  });

  it("a parked job is cancelled to no avail when it was parked anew", async () => {
    using world = await two();
    const rev = (await world.other.parked.park(PARKED)) ?? "";
    world.network.loseReply(0, 1, () => world.other.parked.park({ ...PARKED, attempt: 2 }));
    expect(await world.store.parked.cancel(PARKED, rev, NOW)).toBe(false);
    expect(await world.store.parked.get(PARKED)).toMatchObject({ attempt: 2, reason: "retry" });
  });

  it("a waiting job that is brought forward and published meanwhile is on its way, or gone", async () => {
    using world = await two();
    await world.other.parked.park({ ...PARKED, reason: "waiting", due: NOW + 60_000 });
    world.network.loseReply(0, 1, () => world.other.parked.claim(PARKED, NOW, NOW + 30_000));
    expect(await world.store.parked.expedite(PARKED, NOW)).toBe("on_its_way");
    expect(await world.store.parked.get(PARKED)).toMatchObject({ claimed: true, due: NOW + 30_000 });
  });

  it.each([
    ["that takes what is done", true],
    ["with a caller's own id", false],
  ])("a claim of a queue key %s knows its own, wherever the job has got to, and claims it no second time", async (_, takeDone) => {
    const steps = [
      (store: Store) => store.queueKeys.published(REF, ME),
      (store: Store) => store.queueKeys.begin(REF, ME, 1, NOW),
      (store: Store) => store.queueKeys.finish(REF, ME.run, NOW + 1_000),
    ];
    for (const [last, state] of ["queued", "running", "done"].entries()) {
      using world = await two();
      world.network.loseReply(0, 1, async () => {
        for (const step of steps.slice(0, last + 1)) expect(await step(world.other)).toBeTruthy();
      });
      expect(await claimKey(world.store, ME.job, takeDone)).toEqual({ claimed: true });
      expect((await world.store.queueKeys.get(REF))?.state).toBe(state);
    }
  });

  it("a claim of a queue key that ended while another took the key stays ended", async () => {
    using world = await two();
    world.network.loseReply(0, 1, async () => {
      expect(await world.other.queueKeys.release(REF, ME, 99, NOW + 1_000)).toBe(true);
      expect(await claimKey(world.other, "job-2")).toEqual({ claimed: true });
    });
    expect(await claimKey(world.store)).toMatchObject({ claimed: false, holder: { jobId: "job-2" } });
  });

  it.each([
    ["published", claimKey, (store: Store) => store.queueKeys.published(REF, ME)],
    ["given back", heldKey, (store: Store) => store.queueKeys.giveBack(REF, ME.run, 1)],
  ])("a queue key that was %s is known again though the next run has begun", async (_, prepare, act) => {
    using world = await two();
    await prepare(world.other);
    world.network.loseReply(0, 1, async () => {
      expect(await world.other.queueKeys.begin(REF, { ...OTHER, job: ME.job }, 1, NOW)).toEqual({ began: true });
    });
    expect(await act(world.store)).toBe(true);
    expect(await world.store.queueKeys.get(REF)).toMatchObject({ state: "running", run: OTHER.run });
  });

  it.each([
    ["finished", heldKey, (store: Store) => store.queueKeys.finish(REF, ME.run, NOW + 1_000)],
    ["released", claimKey, (store: Store) => store.queueKeys.release(REF, ME, 99, NOW + 1_000)],
  ])("a queue key that was %s is known again though the next job has taken it and runs", async (_, prepare, act) => {
    using world = await two();
    await prepare(world.other);
    world.network.loseReply(0, 1, async () => {
      expect(await claimKey(world.other, OTHER.job)).toEqual({ claimed: true });
      expect(await world.other.queueKeys.published(REF, OTHER)).toBe(true);
      expect(await world.other.queueKeys.begin(REF, OTHER, 1, NOW)).toEqual({ began: true });
    });
    expect(await act(world.store)).toBe(true);
    expect(await world.store.queueKeys.get(REF)).toMatchObject({ state: "running", run: OTHER.run });
  });

  it("a run that was given up for dead before it knew that it had begun has not begun", async () => {
    using world = await two();
    await claimKey(world.other);
    world.network.loseReply(0, 1, async () => {
      expect(await world.other.queueKeys.begin(REF, { ...OTHER, job: ME.job }, 1, NOW, ME.run)).toEqual({ began: true });
    });
    expect(await world.store.queueKeys.begin(REF, ME, 1, NOW)).toMatchObject({ began: false, found: { run: OTHER.run } });
  });

  it("a run that was given up for dead before it knew that it had the lock has it not", async () => {
    using world = await two();
    world.network.loseReply(0, 1, async () => {
      expect(await world.other.executionKeys.acquire(REF, OTHER, NOW, ME.run)).toMatchObject({ acquired: true });
    });
    expect(await world.store.executionKeys.acquire(REF, ME, NOW)).toMatchObject({ acquired: false, lock: { run: OTHER.run, token: NOW + 2 } });
  });

  it("a release of a lock is known again though others have had it since, and a moved reservation though it was used", async () => {
    using world = await two();
    await world.other.executionKeys.acquire(REF, ME, NOW);
    world.network.loseReply(0, 1, async () => {
      expect(await world.other.executionKeys.acquire(REF, OTHER, NOW)).toMatchObject({ acquired: true });
    });
    expect(await world.store.executionKeys.release(REF, ME.run)).toBe(true);
    await world.other.executionKeys.release(REF, OTHER.run);
    await freeLock(world.other);
    world.network.loseReply(0, 1, async () => {
      expect(await world.other.executionKeys.acquire(REF, { ...ME, job: "job-3" }, NOW)).toMatchObject({ acquired: true });
    });
    expect(await world.store.executionKeys.reserve(REF, OTHER.job, { job: "job-3", until: NOW + 9 })).toBe(true);
  });

  it("a suspect's start counts once though others start it, too", async () => {
    using world = await two();
    world.network.loseReply(0, 1, () => world.other.suspects.started("acme", "job-1"));
    // As it now is: its own start and the one that came between.
    expect(await world.store.suspects.started("acme", "job-1")).toBe(2);
    expect(await world.other.suspects.started("acme", "job-1")).toBe(3);
  });

  it("a hit is one caller's though its reply was lost and another asks", async () => {
    using world = await two();
    await world.other.cancels.mark("acme", "job-1", NOW);
    world.network.loseReply(0, 1, async () => {
      expect(await world.other.cancels.hit("acme", { job: "job-1", enqueuedAt: NOW - 1 }, "run-1")).toBe(false);
    });
    expect(await world.store.cancels.hit("acme", { job: "job-1", enqueuedAt: NOW - 1 }, "run-2")).toBe(true);
  });

  it("an end of a scaling pass stands though a wish came after it", async () => {
    using world = await two();
    await world.store.scale.begin("a", NOW, NOW + 1_000);
    world.network.loseReply(0, 1, () => world.other.scale.wish());
    expect(await world.store.scale.finish("a", 0, {})).toBe(true);
    expect(await world.other.scale.begin("b", NOW, NOW + 1_000)).toEqual({ pools: {}, wish: 1 });
  });
});

describe("the slots of cancel markers", () => {
  const few = ({ document, table, clock }: TableWorld) => cancelStore({ document, name: table, clock }, 2);

  it("are taken once by a marker whose time was moved before its reply was repeated", async () => {
    const world = await open();
    const store = few(world);
    const document = openDocument({ endpoint: world.endpoint });
    const other = few({ ...world, document });
    breakable(world.document).loseReply(1, 1, () => other.mark("acme", "job-1", NOW + 5));
    expect(await store.mark("acme", "job-1", NOW)).toBe(true);
    expect(await store.list("acme")).toMatchObject([{ id: "job-1", at: NOW + 5 }]);
    expect(await store.mark("acme", "job-2", NOW)).toBe(true);
    expect(await store.mark("acme", "job-3", NOW)).toBe(false);
    document.destroy();
  });

  it("are not counted while a taker may be on its way to its marker; one that died is found a minute later", async () => {
    const world = await open();
    const document = openDocument({ endpoint: world.endpoint });
    const dies = few({ ...world, document });
    breakable(document).crashBefore(1);
    await expect(dies.mark("acme", "job-1", NOW)).rejects.toMatchObject({ cause: expect.any(Crash) });
    const store = few(world);
    expect(await store.mark("acme", "job-2", NOW)).toBe(true);
    expect(await store.mark("acme", "job-3", NOW)).toBe(false);
    world.clock.advance(60_000);
    expect(await store.mark("acme", "job-3", NOW)).toBe(true);
    expect(await store.mark("acme", "job-4", NOW)).toBe(false);
    document.destroy();
  });
});

describe("a command whose Lambda dies", () => {
  async function crashing(write: number): Promise<TableWorld & { readonly before: Partition; readonly counters: readonly number[] }> {
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
    const asked = [store.partitions.get("acme"), store.parked.park(PARKED), store.parked.due(0, NOW, 1)];
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
