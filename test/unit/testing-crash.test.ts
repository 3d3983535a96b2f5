import { describe, expect, it } from "vitest";
import { z } from "zod";
import { LIMITS } from "../../core/contract/limits.ts";
import { brokerQueue } from "../../core/contract/names.ts";
import { defineJob, type JobDefinition } from "../../core/job/define-job.ts";
import { acceptJob } from "../../core/job/enqueue.ts";
import type { Json } from "../../core/job/envelope.ts";
import { newJob } from "../../core/job/new-job.ts";
import { registryOf } from "../../core/job/registry.ts";
import { Discard, Snooze } from "../../core/job/verdicts.ts";
import { CallScheduler } from "../../testing/call-scheduler.ts";
import { NO_HOOK } from "../../testing/calls.ts";
import { virtualClock } from "../../testing/clock.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { TestRows } from "../../testing/rows.ts";
import { TestWorker } from "../../testing/test-worker.ts";

const partition = "acme";
const HOUR_MS = 3600 * 1000;
/** A drain looks for what is due before and after its runs: so many steps it has without any job. */
const LOOKS = 2 * LIMITS.dueShards;

/** One RabbitMQ and one table; a task that a scheduler moves step by step, and one that comes after its death. */
function world(job: JobDefinition) {
  const clock = virtualClock();
  const server = new MemoryRabbit();
  const { state } = server;
  const scheduler = new CallScheduler();
  const rows = new TestRows();
  const dead: string[] = [];
  const open = (boot: string) => {
    const hook = boot === "first" ? scheduler.hook(boot) : NO_HOOK;
    const store = memoryStore({ state, clock, hook });
    const broker = new MemoryBroker(server, hook);
    const registry = registryOf({ job });
    const options = { boot, registry, hooks: [], slots: 2, state, store, broker, rows, clock, emit: () => undefined, onEnded: () => undefined };
    return { store, broker, worker: new TestWorker({ ...options, dead: () => dead }) };
  };
  return { clock, state, scheduler, rows, dead, first: open("first"), second: open("second") };
}

type World = ReturnType<typeof world>;

async function enqueue({ second: { store, broker }, clock, rows }: World, spec: JobDefinition, args: Json): Promise<void> {
  const { job, key } = await newJob(spec, args, { partition }, clock.now());
  rows.name(partition, job.queue);
  await acceptJob({ queueKeys: store.queueKeys, clock }, job, key, async ({ id, queue, body }) => {
    await broker.admin.ensure(brokerQueue(partition, queue));
    await broker.publisher.publish({ brokerQueue: brokerQueue(partition, queue), partition, id, body });
    return true;
  });
  clock.advance(1);
}

/** The second task, until all is quiet for an hour. */
async function takeOver({ second: { worker }, clock }: World): Promise<void> {
  const end = clock.now() + HOUR_MS;
  await worker.drain(1_000);
  for (let due = worker.nextDue(); due !== undefined && due <= end; due = worker.nextDue()) {
    clock.advance(Math.max(0, due - clock.now()));
    await worker.drain(1_000);
  }
}

/** The task is killed after its first `steps` calls. @returns whether it had ended before */
async function killedAfter(steps: number, job: JobDefinition, args: readonly Json[], check: (world: World) => void): Promise<boolean> {
  const all = world(job);
  for (const each of args) await enqueue(all, job, each);
  let ended = false;
  void all.first.worker.drain(1_000).then(() => {
    ended = true;
  });
  await all.scheduler.rest();
  for (let step = 0; step < steps && all.scheduler.waiting.length > 0; step++) await all.scheduler.go();
  all.scheduler.kill("first");
  all.first.broker.sever();
  all.dead.push("first");
  await takeOver(all);
  check(all);
  return ended;
}

/** Every step of the task's work, from none to all. */
async function afterEveryStep(job: JobDefinition, args: readonly Json[], check: (world: World, steps: number) => void): Promise<number> {
  for (let steps = 0; steps < 500; steps++) {
    if (await killedAfter(steps, job, args, (all) => check(all, steps))) return steps;
  }
  throw new Error("it does not end");
}

/** Nothing waits, nothing is held. */
function expectClean({ state }: World, steps: number): void {
  const messages = Object.values(state.queues).flatMap(({ fresh, returned, unacked }) => [...fresh, ...returned, ...Object.values(unacked)]);
  const seen = {
    messages: messages.length,
    parked: Object.keys(state.parked).length,
    keys: Object.values(state.queueKeys).map((key) => key.state),
    holders: Object.values(state.locks).flatMap(({ holder }) => holder ?? []),
    waiters: Object.values(state.waiters).flat().length,
  };
  expect({ steps, ...seen }).toEqual({ steps, messages: 0, parked: 0, keys: seen.keys.map(() => "done"), holders: [], waiters: 0 });
}

describe("a task that is killed after any of its steps loses no job and leaves no key behind", () => {
  const byText = { queueKey: (text: string): string => text };
  const byOne = { executionKey: (): string => "one" };

  it.each([
    { of: "without keys", keys: {} },
    { of: "with a queue key", keys: byText },
    { of: "with an execution key", keys: byOne },
    { of: "with both", keys: { ...byText, ...byOne } },
  ])("two jobs $of", async ({ keys }) => {
    let done: string[] = [];
    const job = defineJob({ name: "job", args: z.string(), ...keys, perform: (text) => void done.push(text) });
    const steps = await afterEveryStep(job, ["a", "b"], (all, step) => {
      expectClean(all, step);
      expect([...new Set(done)].sort()).toEqual(["a", "b"]);
      done = [];
    });
    expect(steps).toBeGreaterThan(LOOKS);
  });

  it.each([
    ["fails once", () => new Error("broken"), { buried: 0, done: true }],
    ["snoozes once", () => new Snooze(5), { buried: 0, done: true }],
    ["is discarded", () => new Discard("never"), { buried: 1, done: false }],
  ])("a job with both keys that %s", async (_, verdict, expected) => {
    let done = 0;
    let thrown = 0;
    const job = defineJob({
      name: "job",
      args: z.string(),
      queueKey: (text) => text,
      executionKey: () => "one",
      retry: { levels: [1, 1, 1] },
      perform() {
        thrown += 1;
        if (thrown === 1 || !expected.done) throw verdict();
        done += 1;
      },
    });
    const steps = await afterEveryStep(job, ["a"], (all, step) => {
      expectClean(all, step);
      expect(Object.keys(all.state.buried)).toHaveLength(expected.buried);
      expect(done > 0).toBe(expected.done);
      [done, thrown] = [0, 0];
    });
    expect(steps).toBeGreaterThan(LOOKS);
  });
});
