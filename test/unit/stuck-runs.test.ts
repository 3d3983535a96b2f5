import { beforeEach, expect, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import type { AbortCode } from "../../core/job/abort.ts";
import type { Delivery } from "../../core/job/broker.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { registryOf } from "../../core/job/registry.ts";
import { type VirtualClock, virtualClock } from "../../testing/clock.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { Run } from "../../worker/run.ts";
import { StuckRuns } from "../../worker/stuck-runs.ts";

const GRACE = 5_000;
const registry = registryOf({
  plain: defineJob({ name: "plain", args: z.unknown(), perform: () => undefined }),
  threaded: defineJob({ name: "threaded", args: z.unknown(), isolation: "thread", perform: () => undefined }),
});

let clock: VirtualClock;
let running: Run[];
let events: WorkerEvent[];

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  clock = virtualClock();
  running = [];
  events = [];
  const stuckRuns = new StuckRuns({ registry, clock, emit: (event) => void events.push(event), graceMs: GRACE, running: () => running });
  await stuckRuns.start();
  onTestFinished(async () => {
    await stuckRuns.stop();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
});

/** A run whose handler runs; aborted, if asked for. */
function run(name: string, aborted?: AbortCode): Run {
  const made = new Run({ delivery: {} as Delivery, receivedAt: 0, startedAt: 0, makeLog: () => expect.fail("no log was asked for") });
  made.decoded({ v: 1, id: `${name}-${made.number}`, name, args: {}, partition: "acme", queue: "default", attempt: 1, enqueued_at: 1 });
  made.performing = true;
  if (aborted !== undefined) made.abort(aborted);
  running.push(made);
  return made;
}

async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 1_000) {
    clock.advance(1_000);
    await vi.advanceTimersByTimeAsync(1_000);
  }
}

it("reports a job without any limit that ignores its cancel, once, and no job that was not aborted", async () => {
  run("plain");
  const deaf = run("plain", "cancelled");
  await pass(GRACE);
  expect(events).toEqual([]);
  await pass(1_000);
  expect(events).toEqual([{ type: "job_stuck", job: expect.objectContaining({ id: deaf.envelope?.id }), why: "cancelled" }]);
  expect(deaf.stuckSince).toBe(clock.now());
  await pass(600_000);
  expect(events).toHaveLength(1);
});

it("gives a thread the grace once more: it is killed after the first", async () => {
  const deaf = run("threaded", "timed_out");
  await pass(2 * GRACE);
  expect(events).toEqual([]);
  await pass(1_000);
  expect(events).toMatchObject([{ type: "job_stuck", why: "timed_out" }]);
  expect(deaf.stuckSince).toBe(clock.now());
});

it("leaves one alone whose outcome is being recorded, or that settles in time", async () => {
  const settled = run("plain", "shutdown");
  const inTime = run("plain", "shutdown");
  await pass(GRACE - 1_000);
  settled.performing = false;
  running.splice(running.indexOf(inTime), 1);
  await pass(10 * GRACE);
  expect(events).toEqual([]);
});
