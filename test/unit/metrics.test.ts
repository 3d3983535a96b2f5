import { describe, expect, it } from "vitest";
import { LIMITS } from "../../core/contract/limits.ts";
import { BURIED_LINE, PASS_METRICS } from "../../core/contract/metrics.ts";
import type { Partition } from "../../core/partition/partition.ts";
import type { TaskLease, TaskReport } from "../../core/partition/task-store.ts";
import type { TaskOverview } from "../../functions/live-tasks.ts";
import { passMetrics } from "../../functions/metrics.ts";
import { overdueMs } from "../../functions/overdue.ts";
import { logEvents } from "../../worker/log.ts";

const AT = 1_795_492_800_000;

function partition(id: string, change: Partial<Partition> = {}): Partition {
  const base = { id, status: "running", revision: 1, pools: { default: { mail: 5 } }, paused: [], held: {}, shares: {}, cancelSeq: 0 };
  return { ...base, ...change } as Partition;
}

function task(boot: string, report?: Partial<TaskReport>, lease: Partial<TaskLease> = {}): TaskOverview["live"][number] {
  const base = { boot, pool: "default", slots: 10, beat: 1, draining: false, free: 0, full: false, connected: true, dead: false };
  const told = {
    boot,
    pool: "default",
    slots: 10,
    at: AT,
    startedAt: AT,
    busy: 0,
    memoryBytes: 1,
    shards: [],
    queues: [],
    running: [],
    runningLeftOut: 0,
  };
  return { lease: { ...base, ...lease }, report: report === undefined ? undefined : { ...told, ...report } };
}

function metrics(partitions: readonly Partition[], live: TaskOverview["live"], more: { desired?: number; overdueMs?: number } = {}) {
  const overview = { leases: live.map(({ lease }) => lease), reports: new Map(), live };
  return passMetrics("roger-production", { at: AT, partitions, overview, desired: 0, overdueMs: 0, ...more });
}

describe("a scaling pass as metrics", () => {
  it("is one line in CloudWatch's embedded metric format: every metric is declared, has a unit and a value", () => {
    const line = JSON.parse(JSON.stringify(metrics([], [])));
    expect(line._aws).toEqual({
      Timestamp: AT,
      CloudWatchMetrics: [
        { Namespace: "Roger", Dimensions: [["Table"]], Metrics: Object.entries(PASS_METRICS).map(([Name, Unit]) => ({ Name, Unit })) },
      ],
    });
    expect(line.Table).toBe("roger-production");
    for (const name of Object.keys(PASS_METRICS)) expect(line[name], name).toBe(0);
  });

  it("tells how much there is to do, and who does it", () => {
    const queues = [{ partition: "acme", key: "default/mail" as const, share: 5, running: 5, ready: 40 }];
    const live = [task("a", { busy: 5, queues }), task("b", { busy: 2 }, { slots: 4, connected: false })];
    expect(metrics([partition("acme"), partition("globex", { status: "stopped" })], live, { desired: 3, overdueMs: 61_999 })).toMatchObject({
      RunningPartitions: 1,
      UnservedPartitions: 0,
      LiveTasks: 2,
      DisconnectedTasks: 1,
      DesiredTasks: 3,
      Slots: 14,
      RunningJobs: 7,
      ReadyJobs: 40,
      OverdueSeconds: 61,
    });
  });

  it("finds partitions that no task serves", () => {
    const elsewhere = partition("elsewhere", { pools: { big: { mail: 1 } } });
    const held = partition("draining", { status: "draining", held: { "default/mail": 1 } });
    const still = partition("still", { status: "draining" });
    const idle = partition("idle", { pools: { big: { mail: 0 } } });
    const all = [partition("acme"), elsewhere, held, still, idle];
    expect(metrics(all, [])).toMatchObject({ RunningPartitions: 4, UnservedPartitions: 3 });
    expect(metrics(all, [task("a", {})])).toMatchObject({ UnservedPartitions: 1 });
    // One that has never told of itself, or not for so long that its report is gone, serves nobody as far as anybody knows.
    expect(metrics(all, [task("a")])).toMatchObject({ UnservedPartitions: 3, LiveTasks: 0 });
  });
});

describe("how late parked jobs are", () => {
  const storeWith = (dueAt: readonly number[]) => {
    let queries = 0;
    const due = async (shard: number, now: number, limit: number) => {
      queries += 1;
      const found = dueAt.filter((at, i) => i % LIMITS.dueShards === shard && at <= now).slice(0, limit);
      return found.map((at) => ({ kind: "parked" as const, ref: { partition: "p", id: "j" }, at }));
    };
    return { due, queries: () => queries };
  };

  it.each([
    [[], 0],
    [[AT - 30_000, AT + 1], 0],
    [[AT - 61_000], 60_000],
    [[AT, AT, AT - 20 * 60_000, AT - 61_000], 15 * 60_000],
    [[AT - 9 * 24 * 3_600_000], 24 * 3_600_000],
  ])("due at %j: at least %i ms", async (dueAt, late) => {
    expect(await overdueMs(storeWith(dueAt), AT)).toBe(late);
  });

  it("costs one query for each group as long as nothing is late", async () => {
    const store = storeWith([AT]);
    await overdueMs(store, AT);
    expect(store.queries()).toBe(LIMITS.dueShards);
  });
});

it("a buried job is the line that CloudWatch counts", () => {
  const lines: unknown[] = [];
  const logger = { warn: (_fields: object, message: string) => lines.push(message) } as unknown as Parameters<typeof logEvents>[0];
  const job = { id: "j", name: "n", partition: "p", queue: "q", attempt: 1 };
  logEvents(logger)({ type: "job_buried", job, reason: "failed", message: "as it was" });
  expect(lines).toEqual([BURIED_LINE]);
});
