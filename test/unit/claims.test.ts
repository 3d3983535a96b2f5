import { describe, expect, it } from "vitest";
import type { Envelope } from "../../core/job/envelope.ts";
import { parkedJob } from "../../core/job/parked.ts";
import { ExecutionKeys } from "../../core/keys/execution-key.ts";
import { QueueKeys } from "../../core/keys/queue-key.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { virtualClock } from "../../testing/clock.ts";
import { emptyState } from "../../testing/memory-state.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { Keyring } from "../../worker/claims.ts";
import { Debts } from "../../worker/debts.ts";
import { KnownRuns } from "../../worker/known-runs.ts";
import { Run } from "../../worker/run.ts";

const ENVELOPE: Envelope = {
  v: 1,
  id: "A",
  name: "mail",
  args: null,
  partition: "acme",
  queue: "default",
  queue_key: "q",
  execution_key: "k",
  attempt: 1,
  enqueued_at: 1,
};
const B: Envelope = { ...ENVELOPE, id: "B", queue_key: "r" };
const LOCK = { partition: "acme", key: "k" };
const KEY = { partition: "acme", key: "q" };

/** A task's keyring on a table that can be taken away. */
function task(boot: string, world = { state: emptyState(), clock: virtualClock() }, leases: ReadonlySet<string> = new Set(["T1", "T2"])) {
  const table = { away: false, dead: [] as string[] };
  const before = (): Promise<void> | undefined => {
    if (table.away) throw new StoreUnavailable("the table is away");
    return undefined;
  };
  const store = memoryStore({ ...world, hook: { before } });
  const debts = new Debts(() => undefined, world.clock);
  const runs = new KnownRuns(boot, { takeable: () => table.dead, knows: () => false, present: async () => leases });
  const { clock } = world;
  const due: string[] = [];
  const keyring = new Keyring({
    boot,
    queueKeys: new QueueKeys(store.queueKeys, runs, clock),
    executionKeys: new ExecutionKeys(store.executionKeys, store.parked, runs, clock, ({ id }) => due.push(id)),
    runs,
    debts,
  });
  return { table, store, debts, keyring, world, due };
}

function newRun(): Run {
  return new Run({ delivery: undefined as never, receivedAt: 0, startedAt: 0, makeLog: () => undefined as never });
}

describe("the keys of a run", () => {
  it("are refused to one that was cut off, once another has dropped its message, though the job's end is forgotten", async () => {
    const cutOff = task("T1");
    const other = task("T2", cutOff.world);
    const run = newRun();
    const claims = cutOff.keyring.claimsOf(ENVELOPE, run);
    expect(await other.keyring.abandon(ENVELOPE)).toBe(true);
    expect(await claims?.take(run)).toEqual({ kind: "ended" });
    expect(await other.store.queueKeys.get(KEY)).toMatchObject({ state: "done", forgotten: true });
    // What has not claimed the key since is a late copy, too, whose message another may have dropped.
    expect(await cutOff.keyring.claimsOf({ ...ENVELOPE, id: "B" }, run)?.take(run)).toEqual({ kind: "ended" });
  });

  it("are none for a job without keys", () => {
    const { queue_key: _, execution_key: __, ...keyless } = ENVELOPE;
    expect(task("T1").keyring.claimsOf(keyless, newRun())).toBeUndefined();
  });

  it("come with a token that rises from run to run", async () => {
    const { keyring } = task("T1");
    const tokens: number[] = [];
    for (const envelope of [ENVELOPE, B]) {
      const run = newRun();
      const claims = keyring.claimsOf(envelope, run);
      expect(await claims?.take(run)).toEqual({ kind: "mine" });
      tokens.push(run.token ?? Number.NaN);
      await claims?.finish();
    }
    expect(tokens[1]).toBeGreaterThan(tokens[0] ?? Number.NaN);
  });

  it("leave nothing of the queue key with a job that has to wait for its execution key", async () => {
    const { keyring, store } = task("T1");
    const first = newRun();
    await keyring.claimsOf(B, first)?.take(first);
    const second = newRun();
    expect(await keyring.claimsOf(ENVELOPE, second)?.take(second)).toEqual({ kind: "busy", heldByItself: false });
    expect(await store.queueKeys.get(KEY)).toMatchObject({ state: "queued", jobId: "A" });
  });

  it("are held for peers as long as the task that could not give them back lives, and are given back as soon as it can", async () => {
    const one = task("T1");
    const two = task("T2", one.world);
    const run = newRun();
    const claims = one.keyring.claimsOf(ENVELOPE, run);
    await claims?.take(run);
    one.table.away = true;
    await claims?.handBack();
    expect(one.debts.none).toBe(false);

    const other = newRun();
    const elsewhere = two.keyring.claimsOf(ENVELOPE, other);
    expect(await elsewhere?.take(other)).toEqual({ kind: "held" });
    // Not even this task takes its own run for lost before the debt is paid.
    await expect(one.debts.pay()).rejects.toThrow(StoreUnavailable);
    one.table.away = false;
    const again = newRun();
    expect(await one.keyring.claimsOf(ENVELOPE, again)?.take(again)).toEqual({ kind: "held" });

    await one.debts.pay();
    expect(one.debts.none).toBe(true);
    expect(await elsewhere?.take(other)).toEqual({ kind: "mine" });
  });

  it("are taken over from a task that was declared dead, and what it still writes changes nothing", async () => {
    const one = task("T1");
    const two = task("T2", one.world);
    const run = newRun();
    const claims = one.keyring.claimsOf(ENVELOPE, run);
    await claims?.take(run);
    two.table.dead = ["T1"];
    const other = newRun();
    expect(await two.keyring.claimsOf(ENVELOPE, other)?.take(other)).toEqual({ kind: "mine" });
    expect(other.token).toBeGreaterThan(run.token ?? Number.NaN);
    await claims?.finish();
    expect(await two.store.queueKeys.get(KEY)).toMatchObject({ state: "running", task: "T2" });
    expect(await two.store.executionKeys.read(LOCK)).toMatchObject({ holder: "A", task: "T2" });
  });

  it("are not taken from a task whose lease is only not seen yet, but are from one that has none", async () => {
    const one = task("T1");
    const run = newRun();
    await one.keyring.claimsOf(ENVELOPE, run)?.take(run);
    const other = newRun();
    expect(
      await task("T2", one.world, new Set(["T1", "T2"]))
        .keyring.claimsOf(ENVELOPE, other)
        ?.take(other),
    ).toEqual({ kind: "held" });
    expect(
      await task("T2", one.world, new Set(["T2"]))
        .keyring.claimsOf(ENVELOPE, other)
        ?.take(other),
    ).toEqual({ kind: "mine" });
  });

  it("must be told of the job's end: without an answer the message may not be acked", async () => {
    const { keyring, table } = task("T1");
    const run = newRun();
    const claims = keyring.claimsOf(ENVELOPE, run);
    await claims?.take(run);
    table.away = true;
    await expect(claims?.finish()).rejects.toThrow(StoreUnavailable);
    table.away = false;
    await claims?.finish();
  });
});

describe("the keys of a job that will not run", () => {
  it("are free at once, and the next waiter has the lock reserved", async () => {
    const { keyring, store, world, due } = task("T1");
    const now = world.clock.now();
    const waits = (envelope: Envelope) => parkedJob(envelope, { reason: "waiting", due: now + 60_000, since: now });
    const held = newRun();
    const claims = keyring.claimsOf({ ...B, id: "H" }, held);
    await claims?.take(held);
    await keyring.wait(ENVELOPE, waits(ENVELOPE));
    await keyring.wait(B, waits({ ...B, enqueued_at: 2 }));
    await claims?.finish();
    expect(await store.executionKeys.read(LOCK)).toMatchObject({ reserved: "A" });
    expect(due).toEqual(["A"]);
    expect(await keyring.abandon(ENVELOPE)).toBe(true);
    expect(await store.executionKeys.read(LOCK)).toMatchObject({ reserved: "B" });
    expect(await store.parked.get({ partition: "acme", id: "B" })).toMatchObject({ due: now });
    expect(due).toEqual(["A", "B"]);
  });

  it("stay with a run of the job that may be alive", async () => {
    const one = task("T1");
    const run = newRun();
    await one.keyring.claimsOf(ENVELOPE, run)?.take(run);
    expect(await task("T2", one.world).keyring.abandon(ENVELOPE)).toBe(false);
    expect(await one.store.queueKeys.get(KEY)).toMatchObject({ state: "running" });
  });
});
