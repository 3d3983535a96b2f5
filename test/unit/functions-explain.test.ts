import { describe, expect, it } from "vitest";
import { encodeEnvelope } from "../../core/job/envelope.ts";
import type { ParkedJob, ParkedReason } from "../../core/job/parked.ts";
import type { JobPlace } from "../../core/job/place.ts";
import type { Partition } from "../../core/partition/partition.ts";
import type { QueueReport, RunningJob, TaskLease } from "../../core/partition/task-store.ts";
import { explain } from "../../functions/explain.ts";
import type { Blocker } from "../../functions/find-job.ts";
import type { TaskOverview } from "../../functions/live-tasks.ts";
import { lease, report, TEST_JOBS } from "../api-world.ts";

const NOW = Date.UTC(2026, 10, 24, 8);
const LATER = NOW + 60_000;

const PARTITION: Partition = {
  id: "acme",
  status: "running",
  revision: 1,
  pools: { default: { default: 10, mail: 2 } },
  paused: [],
  held: {},
  shares: {},
  cancelSeq: 0,
};

interface TaskOptions extends Partial<TaskLease> {
  readonly running?: readonly RunningJob[];
  readonly queues?: readonly QueueReport[];
}

function overviewOf(...tasks: readonly TaskOptions[]): TaskOverview {
  const live = tasks.map(({ running = [], queues = [], ...change }) => {
    const of = lease(change);
    return { lease: of, report: report(of, { running, queues }) };
  });
  return {
    leases: live.map((task) => task.lease),
    reports: new Map(live.map((task) => [task.lease.boot, task.report])),
    live: live.filter((task) => !task.lease.dead),
  };
}

const IDLE = overviewOf({ boot: "t1" });

function parked(reason: ParkedReason, change: Partial<ParkedJob> = {}): JobPlace {
  const envelope = { v: 1, id: "j", name: "greet", args: { who: "you" }, partition: "acme", queue: "default", attempt: 1, enqueued_at: NOW } as const;
  const item = {
    partition: "acme",
    id: "j",
    enqueuedAt: NOW,
    name: "greet",
    queue: "default",
    attempt: 1,
    since: NOW,
    claimed: false,
    rev: "r",
    body: encodeEnvelope(envelope),
  };
  return { at: "parked", job: { ...item, reason, due: LATER, ...change } };
}

interface Asked {
  readonly overview?: TaskOverview;
  readonly partition?: Partial<Partition>;
  readonly marked?: boolean;
  readonly blocker?: Blocker;
}

function ask(place: JobPlace, { overview = IDLE, partition = {}, marked = false, blocker }: Asked = {}) {
  return explain("j", { place, blocker, marked, overview }, { partition: { ...PARTITION, ...partition }, registry: TEST_JOBS, now: NOW });
}

const codes = (...args: Parameters<typeof ask>) => ask(...args).reasons.map(({ code }) => code);
const UNKNOWN: JobPlace = { at: "unknown" };
const KEY = { jobId: "j", enqueuedAt: NOW, state: "queued", attempt: 1 } as const;

describe("explain: a parked job", () => {
  it.each(["outbox", "delayed", "retry", "snoozed", "long"] as const)("as %s waits until its time", (reason) => {
    const { state, reasons } = ask(parked(reason));
    expect([state, reasons]).toEqual([
      "parked",
      [{ code: "parked_until", detail: expect.stringContaining("08:01:00"), until: "2026-11-24T08:01:00.000Z" }],
    ]);
  });

  it("is on its way once its time has come, or a pump has it", () => {
    expect(codes(parked("outbox", { due: NOW }))).toEqual(["on_its_way"]);
    expect(codes(parked("outbox", { claimed: true }))).toEqual(["on_its_way"]);
  });

  it("that waits for a key says which, and who has it since when", () => {
    const holder = { job: "x", task: "t1", since: NOW - 60_000 };
    const { reasons } = ask(parked("waiting"), { blocker: { key: "customer-1", holder } });
    expect(reasons[0]).toEqual({
      code: "key_held",
      detail: 'the key "customer-1" is held by job x on task t1 since 2026-11-24T07:59:00.000Z',
      held_by: { job_id: "x", task: "t1", since: "2026-11-24T07:59:00.000Z" },
    });
    expect(reasons[1]).toMatchObject({ code: "parked_until", detail: expect.stringContaining("at the latest") });
    const [unreported] = ask(parked("waiting"), { blocker: { key: "k", holder: { ...holder, since: undefined } } }).reasons;
    expect(unreported).toMatchObject({ detail: 'the key "k" is held by job x on task t1', held_by: { since: null } });
  });

  it("that waits for a free key, or for itself, says so", () => {
    expect(codes(parked("waiting"), { blocker: { key: "k", holder: undefined } })).toEqual(["key_free", "parked_until"]);
    const [itself] = ask(parked("waiting"), { blocker: { key: undefined, holder: { job: "j", task: "t2", since: undefined } } }).reasons;
    expect(itself).toMatchObject({ code: "key_held", detail: "another run of this very job, on task t2, may still be alive" });
  });

  it("that nobody knows, or that may kill its worker, says so first", () => {
    expect(codes(parked("unknown_name"))).toEqual(["unknown_name", "parked_until"]);
    expect(codes(parked("suspect"))).toEqual(["suspect", "parked_until"]);
  });

  it("tells what will keep it from starting: after its time while it waits, before once it is due", () => {
    const stopped = { partition: { status: "stopped" } } as const;
    expect(codes(parked("delayed"), stopped)).toEqual(["parked_until", "partition_not_running"]);
    expect(codes(parked("delayed", { due: NOW }), stopped)).toEqual(["partition_not_running", "on_its_way"]);
  });

  it("whose cancelling was asked for says so before all", () => {
    expect(codes(parked("long"), { marked: true })).toEqual(["cancelled", "parked_until"]);
  });
});

describe("explain: a job that runs", () => {
  const job: RunningJob = { id: "j", name: "greet", partition: "acme", queue: "default", attempt: 1, startedAt: NOW - 5_000, progress: 0.42 };
  const runs = (change: Partial<RunningJob> = {}): JobPlace => {
    const [task] = overviewOf({ boot: "t1", running: [{ ...job, ...change }] }).live;
    return {
      at: "running",
      task: "t1",
      attempt: 1,
      queue: "default",
      reported: { job: { ...job, ...change }, report: task!.report! },
      long: undefined,
    };
  };

  it("tells where, since when and how far", () => {
    expect(ask(runs()).reasons).toEqual([{ code: "running", detail: "it has been running on task t1 since 2026-11-24T07:59:55.000Z, 42 % done" }]);
    expect(codes({ at: "running", task: "t1", attempt: 1, queue: "default", reported: undefined, long: undefined })).toEqual(["running"]);
  });

  it("is stuck when it ignores its abort, and cancelled when that was asked for", () => {
    expect(codes(runs({ stuckSince: NOW - 1_000 }))).toEqual(["stuck", "running"]);
    expect(codes(runs(), { marked: true })).toEqual(["cancelled", "running"]);
  });

  it("on a task that is gone runs again", () => {
    for (const overview of [overviewOf(), overviewOf({ boot: "t1", dead: true, deadAt: NOW })]) {
      expect(ask(runs(), { overview }).reasons).toEqual([{ code: "running", detail: expect.stringContaining("which is gone") }]);
    }
  });
});

describe("explain: a job that leaves no trace", () => {
  it("and that nothing keeps back is queued, has ended, or never was", () => {
    expect(codes(UNKNOWN)).toEqual(["not_seen"]);
    expect(codes({ at: "queued", key: KEY })).toEqual(["not_seen"]);
  });

  it("is told by the key of its id to be in a queue that is not listed any more", () => {
    const { reasons } = ask({ at: "queued", key: { ...KEY, queue: "gone" } });
    expect(reasons).toMatchObject([
      { code: "queue_not_listed", queue: "gone", detail: 'partition acme does not list queue "gone"; it lists default, mail' },
      { code: "not_seen", detail: 'it is in queue "gone", or on its way there' },
    ]);
    const paused = { partition: { paused: ["mail"] } };
    expect(codes({ at: "queued", key: { ...KEY, queue: "mail" } }, paused)).toEqual(["queue_paused", "not_seen"]);
    expect(codes({ at: "queued", key: { ...KEY, queue: "default" } }, paused)).toEqual(["not_seen"]);
  });

  it("and that which of its queues it is in is not remembered", () => {
    expect(ask({ at: "queued", key: KEY }).reasons).toMatchObject([
      { detail: expect.stringContaining("(default, mail, or one that the partition does not list any more), or on its way there") },
    ]);
  });

  it.each([
    [{ status: "stopped" }, ["partition_not_running"]],
    [{ status: "draining" }, ["partition_not_running"]],
    [{ paused: ["mail"] }, ["queue_paused"]],
    [{ pools: { default: { default: 0 } } }, ["max_workers_zero"]],
    [{ pools: { big: { default: 3 } } }, ["no_task"]],
  ] as const)("in a partition with %j", (partition, expected) => {
    expect(codes(UNKNOWN, { partition })).toEqual([...expected, "not_seen"]);
  });

  it("waits for a slot when all that may run do", () => {
    const queues = [{ partition: "acme", key: "default/mail", share: 2, running: 2 }] as const;
    const [slot] = ask(UNKNOWN, { overview: overviewOf({ queues }) }).reasons;
    expect(slot).toMatchObject({ code: "waiting_for_slot", queue: "mail", detail: expect.stringContaining("2 of 2 running") });
  });

  it("waits for a slot when every task is full", () => {
    const reasons = ask(UNKNOWN, { overview: overviewOf({ free: 0 }, { free: 0 }) }).reasons.filter(({ code }) => code === "waiting_for_slot");
    expect(reasons.map(({ queue }) => queue)).toEqual(["default", "mail"]);
    expect(reasons[0]?.detail).toContain("all 20 slots of the 2 tasks");
    const alone = ask(UNKNOWN, { overview: overviewOf({ free: 0 }) }).reasons;
    expect(alone[0]?.detail).toContain("all 10 slots of the one task");
    expect(codes(UNKNOWN, { overview: overviewOf({ free: 0 }, { free: 1 }) })).toEqual(["not_seen"]);
  });

  it("is told once that tasks have lost RabbitMQ, however many queues there are", () => {
    const overview = overviewOf({ connected: false }, { connected: true });
    expect(ask(UNKNOWN, { overview }).reasons.filter(({ code }) => code === "broker_away")).toEqual([
      { code: "broker_away", detail: "1 of 2 tasks of pool default can't reach RabbitMQ" },
    ]);
  });

  it("has no task when all are dead or draining", () => {
    expect(codes(UNKNOWN, { overview: overviewOf({ draining: true }, { dead: true }) })).toEqual(["no_task", "no_task", "not_seen"]);
  });

  it("a queue that one of its pools serves is served", () => {
    const pools = { default: { default: 1 }, big: { default: 1 } };
    expect(codes(UNKNOWN, { partition: { pools } })).toEqual(["not_seen"]);
  });
});

describe("explain: a job that is over", () => {
  it("says how", () => {
    expect(codes({ at: "done", until: LATER })).toEqual(["done"]);
    expect(codes({ at: "cancelled" }, { marked: true })).toEqual(["cancelled"]);
    const error = { name: "Error", message: "boom" };
    const grave = {
      partition: "acme",
      id: "j",
      name: "greet",
      queue: "default",
      attempt: 1,
      reason: "failed",
      buriedAt: NOW,
      error,
      history: [],
      body: "",
      rev: "",
    } as const;
    expect(ask({ at: "buried", grave }).reasons).toEqual([
      { code: "buried", detail: expect.stringContaining("buried as failed at 2026-11-24T08:00:00.000Z: boom") },
    ]);
  });
});

describe("explain: a queue that is not listed", () => {
  it("is told, with those that are", () => {
    const [first] = ask(parked("outbox", { due: NOW, queue: "gone" })).reasons;
    expect(first).toEqual({ code: "queue_not_listed", queue: "gone", detail: 'partition acme does not list queue "gone"; it lists default, mail' });
  });
});
