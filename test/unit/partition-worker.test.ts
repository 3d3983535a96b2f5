import { describe, expect, it, vi } from "vitest";
import { queueKey } from "../../core/contract/names.ts";
import { Window } from "../../core/contract/window.ts";
import type { Delivery } from "../../core/job/broker.ts";
import { applyCommand, type Command } from "../../core/partition/commands.ts";
import { heldOf, type Partition, shareOf } from "../../core/partition/partition.ts";
import type { PartitionStore, ShareMove } from "../../core/partition/partition-store.ts";
import { type ShareTask, targetShares, wantedShare } from "../../core/partition/shares.ts";
import { virtualClock } from "../../testing/clock.ts";
import type { JobRunner } from "../../worker/job-runner.ts";
import type { PartitionWatch } from "../../worker/partition-watch.ts";
import { PartitionWorker } from "../../worker/partition-worker.ts";
import type { WorkBench } from "../../worker/queue-worker.ts";
import type { Run } from "../../worker/run.ts";
import type { Turns, TurnTaker } from "../../worker/turns.ts";

/** A partition's worker between a table in memory and a broker that does nothing. */
function setUp() {
  const clock = virtualClock();
  const moves: string[] = [];
  const table = { row: undefined as Partition | undefined, away: false, answers: Promise.resolve() };
  const runs: { readonly run: Run; settle(): void }[] = [];
  const lease = { good: true };
  const window = new Window(8);
  const peers: ShareTask[] = [{ boot: "me", slots: 10 }];
  let copy: Partition | undefined;
  const partitions: Partial<PartitionStore> = {
    async moveShare({ key, from, to, task, maxWorkers }: ShareMove) {
      moves.push(`${key} ${from}>${to}`);
      if (table.away) throw new Error("the table is away");
      const row = table.row as Partition;
      const held = heldOf(row, key) + to - from;
      if (shareOf(row, key, task) !== from || (to > from && held > maxWorkers)) return { moved: false, partition: row };
      const written = { ...row, held: { ...row.held, [key]: held }, shares: { ...row.shares, [key]: to === 0 ? {} : { [task]: to } } };
      table.row = written;
      await table.answers;
      return { moved: true, partition: written };
    },
  };
  const watch = {
    get: () => copy,
    accept: (row: Partition) => {
      if (row.revision >= (copy?.revision ?? 0)) copy = row;
    },
    refresh: async () => {
      copy = table.row;
      return copy;
    },
  };
  const bench: Partial<WorkBench> = {
    boot: "me",
    pool: "default",
    watch: watch as unknown as PartitionWatch,
    partitions: partitions as PartitionStore,
    moves: window,
    mayRaise: () => lease.good,
    runner: {
      run: (run: Run) => {
        const settled = Promise.withResolvers<void>();
        runs.push({ run, settle: settled.resolve });
        return settled.promise;
      },
    } as JobRunner,
    clock,
    emit: () => undefined,
    openChannel: () => ({
      subscribe: () => ({ setPrefetch: async () => undefined, stop: async () => undefined }),
      close: async () => undefined,
    }),
    placement: {
      wanted: (row, queue, share) => {
        if (row === undefined) return 0;
        const sharing = { partition: row, pool: "default", queue, tasks: peers };
        return wantedShare(sharing, "me", share, targetShares(sharing));
      },
      isServedElsewhere: () => peers.some(({ boot, full }) => boot !== "me" && !full),
    },
    takeBackMs: 30_000,
  };
  const offer = (taker: TurnTaker): void => {
    while (taker.startOne());
  };
  const worker = new PartitionWorker("acme", bench as WorkBench, { offer, release: offer } as unknown as Turns);
  const list = async (queues: Record<string, number>): Promise<void> => {
    const type = table.row === undefined ? "start" : "reconfigure";
    table.row = applyCommand("acme", table.row, { type, pools: { default: queues } });
    copy = table.row;
    worker.reconcile(copy);
    await worker.rested();
  };
  const give = (command: Command): void => {
    table.row = applyCommand("acme", table.row, command);
    copy = table.row;
    worker.reconcile(copy);
  };
  const deliver = (queue: string): void => worker.queues.get(queue)?.intake.receive({ nack: () => undefined } as Delivery);
  /** The table and the copy say so, and no worker is told. */
  const widen = (queue: string, maxWorkers: number): void => {
    const row = table.row as Partition;
    table.row = applyCommand("acme", row, { type: "reconfigure", pools: { default: { ...row.pools.default, [queue]: maxWorkers } } });
    copy = table.row;
  };
  /** A write lands of which nobody waits any more to hear. */
  const late = (queue: string, n: number): void => {
    const [row, key] = [table.row as Partition, queueKey("default", queue)];
    table.row = { ...row, held: { ...row.held, [key]: n }, shares: { ...row.shares, [key]: { me: n } } };
  };
  const share = (queue: string): number => shareOf(table.row as Partition, queueKey("default", queue), "me");
  return { runs, give, deliver, lease, window, worker, list, widen, late, share, moves, table, clock, peers, row: () => table.row as Partition };
}

describe("a queue of a partition", () => {
  it.each([
    ["stopped", { type: "stop" }],
    ["drained", { type: "safe_stop" }],
    ["paused", { type: "pause", queue: "mail" }],
    ["dropped", { type: "reconfigure", pools: { default: {} } }],
  ] satisfies [string, Command][])("that is %s while a move of its share has no answer yet starts nothing any more", async (_, command) => {
    const { worker, list, give, deliver, runs, moves, table, share } = setUp();
    await list({ mail: 1 });
    deliver("mail");
    const answers = Promise.withResolvers<void>();
    table.answers = answers.promise;
    give({ type: "reconfigure", pools: { default: { mail: 3 } } });
    await vi.waitFor(() => expect(moves).toContain("default/mail 1>3"));
    give(command);
    expect(runs.map(({ run }) => run.aborted)).toEqual([command.type === "stop" ? "partition_stopped" : undefined]);
    // What was aborted goes back, and RabbitMQ sends it again to the consumer that is still there.
    runs[0]?.settle();
    await Promise.resolve();
    deliver("mail");
    table.answers = Promise.resolve();
    answers.resolve();
    await Promise.resolve();
    deliver("mail");
    await worker.rested();
    expect([runs.length, share("mail")]).toEqual([1, 0]);
  });

  it("that is dropped is given up and forgotten; listed again, it is kept by a new keeper, and the old one never acts", async () => {
    const { worker, list, share, moves, widen } = setUp();
    await list({ mail: 3, other: 1 });
    expect([share("mail"), share("other")]).toEqual([3, 1]);
    const old = worker.queues.get("mail");
    await list({ other: 1 });
    expect([share("mail"), [...worker.queues.keys()]]).toEqual([0, ["other"]]);
    await list({ mail: 2, other: 1 });
    expect(share("mail")).toBe(2);
    expect(worker.queues.get("mail")).not.toBe(old);
    moves.length = 0;
    // There is room: one that still acted would take it.
    widen("mail", 5);
    for (const listed of [true, false]) {
      old?.reconcile(listed);
      await old?.rested();
    }
    expect(moves).toEqual([]);
    expect(share("mail")).toBe(2);
  });

  it("that could not be moved while the table was away is not tried again once its keeper is closed", async () => {
    vi.useFakeTimers();
    try {
      const { worker, list, moves, table } = setUp();
      table.away = true;
      await list({ mail: 3 });
      expect(moves.length).toBeGreaterThan(0);
      await worker.close();
      moves.length = 0;
      table.away = false;
      await vi.advanceTimersByTimeAsync(60_000);
      expect(moves).toEqual([]);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    ["listed", { mail: 0 }],
    ["dropped", {}],
  ])("whose raise lands when its keeper has long read back that it did not, is brought down to what is counted on: %s", async (_, queues) => {
    vi.useFakeTimers();
    try {
      const { worker, list, table, late, share } = setUp();
      table.away = true;
      await list({ mail: 3 });
      table.away = false;
      await list({ mail: 0 });
      expect([share("mail"), worker.queues.get("mail")?.share]).toEqual([0, 0]);
      late("mail", 3);
      await list(queues);
      expect(share("mail")).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it("is not raised by a task that stood still while the raise waited for its turn; it may give back", async () => {
    vi.useFakeTimers();
    try {
      const { worker, list, lease, window, moves, share } = setUp();
      await list({ mail: 3 });
      for (let i = 0; i < 8; i++) await window.enter();
      const raised = list({ mail: 5 });
      await vi.advanceTimersByTimeAsync(0);
      moves.length = 0;
      lease.good = false;
      for (let i = 0; i < 8; i++) window.leave();
      await raised;
      expect([moves, share("mail"), worker.queues.get("mail")?.share]).toEqual([[], 3, 3]);
      await list({ mail: 0 });
      expect(share("mail")).toBe(0);
      lease.good = true;
      await list({ mail: 5 });
      expect(share("mail")).toBe(5);
    } finally {
      vi.useRealTimers();
    }
  });

  it("is forgotten though it never held anything", async () => {
    const { worker, list } = setUp();
    await list({ mail: 0, other: 1 });
    await list({ other: 1 });
    expect([...worker.queues.keys()]).toEqual(["other"]);
  });

  it("at rest costs nothing when it is looked at again", async () => {
    const { worker, list, moves, row } = setUp();
    await list({ mail: 3 });
    moves.length = 0;
    const rested = vi.spyOn(worker.queues.get("mail") as never, "rested");
    for (let i = 0; i < 100; i++) worker.reconcile(row());
    await worker.rested();
    expect(moves).toEqual([]);
    expect(rested).toHaveBeenCalledTimes(1);
  });
});

describe("a queue that is let go", () => {
  async function setUpShed(options: { readonly peer?: ShareTask }) {
    const world = setUp();
    if (options.peer !== undefined) world.peers.push(options.peer);
    await world.list({ mail: 3 });
    const before = world.share("mail");
    const mail = world.worker.queues.get("mail");
    const look = async (ms: number, forAll = true): Promise<boolean | undefined> => {
      world.clock.advance(ms);
      const told = mail?.shed(world.row(), forAll);
      await world.worker.rested();
      return told;
    };
    return { ...world, before, look };
  }

  it("is kept when no other task has room", async () => {
    for (const peer of [undefined, { boot: "peer", slots: 10, full: true }]) {
      const { look, share, before } = await setUpShed(peer === undefined ? {} : { peer });
      expect(await look(0)).toBe(false);
      expect(share("mail")).toBe(before);
    }
  });

  it("is told of once, and only if jobs of it wait", async () => {
    const { look, share } = await setUpShed({ peer: { boot: "peer", slots: 10 } });
    expect([await look(0), await look(300), share("mail")]).toEqual([true, false, 0]);
    const idle = await setUpShed({ peer: { boot: "peer", slots: 10 } });
    expect([await idle.look(0, false), idle.share("mail")]).toEqual([false, 0]);
  });

  it("comes back when nobody has taken it in time, and then stays for as long", async () => {
    const { look, share, before } = await setUpShed({ peer: { boot: "peer", slots: 10 } });
    await look(0);
    await look(29_000);
    expect(share("mail")).toBe(0);
    await look(1_000);
    expect(share("mail")).toBe(before);
    await look(29_000);
    expect(share("mail")).toBe(before);
    expect(await look(1_000)).toBe(true);
    expect(share("mail")).toBe(0);
  });

  it("stays away as long as somebody holds it", async () => {
    const { look, share, table, row } = await setUpShed({ peer: { boot: "peer", slots: 10 } });
    await look(0);
    table.row = { ...row(), held: { "default/mail": 3 }, shares: { "default/mail": { peer: 3 } } };
    await look(60_000);
    expect(share("mail")).toBe(0);
  });
});
