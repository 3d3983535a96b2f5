import { beforeEach, describe, expect, it } from "vitest";
import { LIMITS } from "../../core/contract/limits.ts";
import type { AbortCode } from "../../core/job/abort.ts";
import type { Delivery } from "../../core/job/broker.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import type { SuspectStore } from "../../core/job/suspects.ts";
import { virtualClock } from "../../testing/clock.ts";
import { emptyState, type MemoryState } from "../../testing/memory-state.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { Run } from "../../worker/run.ts";
import { Suspects, withReturns } from "../../worker/suspects.ts";

let state: MemoryState;
let lag: number;
let events: WorkerEvent[];
let failing: string | undefined;

beforeEach(() => {
  state = emptyState();
  lag = 0;
  events = [];
  failing = undefined;
});

function store(): SuspectStore {
  const before = ({ method }: { readonly method: string }) => (method === failing ? Promise.reject(new Error("no answer")) : undefined);
  return memoryStore({ clock: virtualClock(), state, hook: { before } }).suspects;
}

/** A process; its predecessor's count lives in the table. */
const process = (): Suspects => new Suspects({ store: store(), emit: (event) => void events.push(event), loopLag: () => lag });

function job(id = "job-1", options: { readonly deliveryCount?: number; readonly returns?: number } = {}): { run: Run; envelope: Envelope } {
  const { deliveryCount = 2, returns } = options;
  const envelope: Envelope = {
    v: 1,
    id,
    name: "x",
    args: {},
    partition: "acme",
    queue: "default",
    attempt: 1,
    enqueued_at: 1,
    ...(returns === undefined ? {} : { returns }),
  };
  const run = new Run({ delivery: { deliveryCount } as Delivery, receivedAt: 0, startedAt: 0, makeLog: () => expect.fail("no log was asked for") });
  run.decoded(envelope);
  return { run, envelope };
}

const counted = (id = "job-1") => state.suspects[`acme/${id}`]?.count ?? 0;

async function start(suspects: Suspects, { run, envelope } = job()): Promise<string> {
  if (!(await suspects.enter(run, envelope))) return "busy";
  return (await suspects.mayStart(run, envelope)) ? "may start" : "poison";
}

describe("a suspect", () => {
  it("is a job that came back twice, in one message or in several", () => {
    for (const [options, expected] of [
      [{ deliveryCount: 0 }, false],
      [{ deliveryCount: 1 }, false],
      [{ deliveryCount: 2 }, true],
      [{ deliveryCount: 0, returns: 2 }, true],
      [{ deliveryCount: 1, returns: 1 }, true],
      [{ deliveryCount: 1, returns: 0 }, false],
    ] as const) {
      const { run, envelope } = job("job-1", options);
      expect(Suspects.isSuspect(run, envelope)).toBe(expected);
    }
  });

  it("whose message came back in order, as at a deploy, runs beside others", async () => {
    const suspects = process();
    expect(await start(suspects, job("first"))).toBe("may start");
    expect(await start(suspects, job("second"))).toBe("may start");
  });

  it("that was started once without an orderly end runs alone: another waits until it has ended, and is not charged for that", async () => {
    const first = job("first");
    const second = job("second");
    await start(process(), first);
    await start(process(), second);
    const suspects = process();
    expect(await start(suspects, first)).toBe("may start");
    expect(await start(suspects, second)).toBe("busy");
    expect(counted("second")).toBe(1);
    // One that was told to wait has ended for this process; that frees nothing.
    await suspects.ended(second.run, second.envelope);
    expect(await start(suspects, second)).toBe("busy");
    await suspects.ended(first.run, first.envelope);
    expect(await start(suspects, second)).toBe("may start");
  });

  it("that kills five processes in a row is poison in the sixth", async () => {
    for (let starts = 1; starts <= LIMITS.poisonStarts; starts++) {
      expect(await start(process())).toBe("may start");
      expect(counted()).toBe(starts);
    }
    const last = process();
    const killer = job();
    expect(await start(last, killer)).toBe("poison");
    await last.ended(killer.run, killer.envelope);
    // Once it is buried, a person may retry it with a clean record.
    expect(counted()).toBe(0);
    expect(await start(last, job("next"))).toBe("may start");
  });

  it.each<AbortCode | undefined>([undefined, "shutdown", "partition_stopped", "cancelled", "timed_out", "connection_lost", "lease_lost"])(
    "is cleared by an orderly end: %s",
    async (aborted) => {
      for (let i = 0; i < LIMITS.poisonStarts - 1; i++) await start(process());
      const suspects = process();
      const one = job();
      await start(suspects, one);
      if (aborted !== undefined) one.run.abort(aborted);
      lag = 4_999;
      await suspects.ended(one.run, one.envelope);
      expect(counted()).toBe(0);
    },
  );

  it.each<readonly [AbortCode | undefined, number]>([
    ["connection_lost", 1],
    ["lease_lost", 1],
    ["shutdown", 0],
    [undefined, 0],
  ])("that ended as %s while the event loop stood still keeps %i: it may be what held the loop", async (aborted, left) => {
    const suspects = process();
    const one = job();
    await start(suspects, one);
    if (aborted !== undefined) one.run.abort(aborted);
    lag = 5_000;
    await suspects.ended(one.run, one.envelope);
    expect(counted()).toBe(left);
    expect(await start(suspects, job("next"))).toBe("may start");
  });

  it("that ends before its handler starts has shown nothing: its count stays as it was", async () => {
    await start(process());
    const suspects = process();
    const { run, envelope } = job();
    expect(await suspects.enter(run, envelope)).toBe(true);
    await suspects.ended(run, envelope);
    expect(counted()).toBe(1);
    const next = job();
    expect(await suspects.enter(next.run, next.envelope)).toBe(true);
  });

  it("writes how often it came back into what it is published from next", () => {
    const fresh = job("job-1", { deliveryCount: 0 });
    expect(withReturns(fresh.run, fresh.envelope)).toBe(fresh.envelope);
    const returned = job("job-1", { deliveryCount: 2, returns: 3 });
    expect(withReturns(returned.run, returned.envelope).returns).toBe(5);
  });

  it("costs nothing to be innocent", async () => {
    failing = "cleared";
    const { run, envelope } = job("job-1", { deliveryCount: 0 });
    await process().ended(run, envelope);
    expect(events).toEqual([]);
  });
});

describe("a table that is away", () => {
  it("keeps the suspect from running, and its place is free again once it has gone back", async () => {
    const suspects = process();
    const one = job();
    failing = "started";
    await expect(start(suspects, one)).rejects.toThrow("no answer");
    failing = undefined;
    await suspects.ended(one.run, one.envelope);
    expect(await start(suspects)).toBe("may start");
    expect(counted()).toBe(1);
  });

  it("does not hold up the end of a suspect: its count stays, and the next orderly end clears it", async () => {
    const suspects = process();
    const one = job();
    await start(suspects, one);
    failing = "cleared";
    await suspects.ended(one.run, one.envelope);
    expect(events).toMatchObject([{ type: "trouble", doing: "clearing the suspicion of job job-1" }]);
    failing = undefined;
    const again = job();
    expect(await start(suspects, again)).toBe("may start");
    expect(counted()).toBe(2);
    await suspects.ended(again.run, again.envelope);
    expect(counted()).toBe(0);
  });
});
