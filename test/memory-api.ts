import { DEFAULT_QUEUE } from "../core/contract/names.ts";
import type { MessageTaker, QueueAdmin } from "../core/job/broker.ts";
import type { JobDefinition } from "../core/job/define-job.ts";
import type { Hooks } from "../core/job/hooks.ts";
import { registryOf } from "../core/job/registry.ts";
import type { TaskLease } from "../core/partition/task-store.ts";
import { composeApp } from "../functions/app.ts";
import type { AllDeps } from "../functions/deps.ts";
import { asPort, type Hook, NO_HOOK, type PortCall, throughHook } from "../testing/calls.ts";
import { virtualClock } from "../testing/clock.ts";
import { MemoryBroker } from "../testing/memory-broker.ts";
import { MemoryRabbit } from "../testing/memory-rabbit.ts";
import type { MemoryState } from "../testing/memory-state.ts";
import { memoryStore } from "../testing/memory-store.ts";
import { ackMessage, returnAll, takeMessage } from "../testing/queue-state.ts";
import { TestRows } from "../testing/rows.ts";
import { TestWorker } from "../testing/test-worker.ts";

const HOUR_MS = 3_600_000;
export const PARTITION = "acme";

/** A Lambda that was killed: it makes no call any more. */
export class Died extends Error {
  constructor() {
    super("died");
    this.name = "Died";
  }
}

/** Kills a process at one of its calls: before its effect, or when its effect stands and nobody knows. */
export function killAt(n: number, when: "before" | "after"): Hook & { readonly died: () => boolean } {
  let calls = 0;
  let dead = false;
  const at = (moment: "before" | "after") => (_: PortCall) => {
    if (dead) return Promise.reject(new Died());
    if (moment === when && calls++ === n) {
      dead = true;
      return Promise.reject(new Died());
    }
    return undefined;
  };
  return { before: at("before"), after: at("after"), died: () => dead };
}

/** The API and a worker over one table and one RabbitMQ in memory; nothing happens but what the test asks for. */
export function memoryApi(jobs: readonly JobDefinition[], hooks: readonly Hooks[] = []) {
  const clock = virtualClock();
  const rabbit = new MemoryRabbit();
  const { state } = rabbit;
  const rows = new TestRows();
  rows.name(PARTITION, DEFAULT_QUEUE);
  const registry = registryOf(Object.fromEntries(jobs.map((job) => [job.name, job])));
  const store = memoryStore({ state, clock });
  const broker = new MemoryBroker(rabbit);
  const leases: TaskLease[] = [];
  const options = { boot: "task", registry, hooks, slots: 10, state, store, broker, rows, clock };
  const worker = new TestWorker({ ...options, emit: () => undefined, dead: () => [], onEnded: () => undefined });

  function depsOf(hook: Hook): AllDeps {
    const partitions = asPort(
      "partitions",
      {
        get: (id: string) => rows.get(id),
        formerQueues: () => [],
        announceCancel: (id: string) => {
          const row = rows.cancelled(id);
          if (row !== undefined) worker.rowChanged(row);
          return row !== undefined;
        },
      } as never,
      hook,
    );
    const tasks = asPort("tasks", { leases: () => leases, reports: () => [] } as never, hook);
    const silent = () => undefined;
    return {
      store: { ...memoryStore({ state, clock, hook }), partitions, tasks } as unknown as AllDeps["store"],
      clock,
      log: { info: silent, warn: silent, error: silent },
      registry,
      withQueues: (work) => work(memoryQueues(state, hook)),
    };
  }

  return {
    clock,
    state,
    store,
    rows,
    leases,
    broker,
    worker,
    /** One request to a Lambda of its own, which may be killed by its hook. */
    call: async (method: string, path: string, body?: unknown, hook: Hook = NO_HOOK) => {
      const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
      const response = await composeApp(depsOf(hook)).request(`/partitions/${PARTITION}${path}`, init);
      // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
      return { status: response.status, body: (await response.json()) as any };
    },
    /** The worker's turn, until all is quiet for an hour. */
    quiet: async () => {
      const end = clock.now() + HOUR_MS;
      await worker.drain(1_000);
      for (let due = worker.nextDue(); due !== undefined && due <= end; due = worker.nextDue()) {
        clock.advance(Math.max(0, due - clock.now()));
        await worker.drain(1_000);
      }
    },
    /** What lies about in the end: all is well when it is `CLEAN`. */
    left: () => ({
      messages: Object.values(state.queues).flatMap(({ fresh, returned, unacked }) => [...fresh, ...returned, ...Object.values(unacked)]).length,
      parked: Object.keys(state.parked).length,
      heldKeys: Object.values(state.queueKeys).filter((key) => key.state !== "done").length,
      locks: Object.values(state.locks).filter(({ holder }) => holder !== undefined).length,
      waiters: Object.values(state.waiters).flat().length,
    }),
  };
}

export type MemoryApi = ReturnType<typeof memoryApi>;

export const CLEAN = { messages: 0, parked: 0, heldKeys: 0, locks: 0, waiters: 0 } as const;

/** RabbitMQ as functions/queues.ts has it: what was not acked when the work ends, or dies, goes back. */
function memoryQueues(state: MemoryState, hook: Hook): QueueAdmin & MessageTaker {
  const take: MessageTaker["take"] = async (queue, { limit, settle }) => {
    if (state.queues[queue] === undefined) return undefined;
    let gone = 0;
    try {
      for (let seen = 0; seen < limit; seen++) {
        const taken = await throughHook(hook, { port: "queues", method: "get", args: [queue] }, () => takeMessage(state, queue));
        if (taken === undefined) break;
        if (!(await settle(Buffer.from(taken.message.body)))) continue;
        await throughHook(hook, { port: "queues", method: "ack", args: [queue] }, () => ackMessage(state, queue, taken.tag));
        gone += 1;
      }
      return gone;
    } finally {
      returnAll(state);
    }
  };
  return { take } as unknown as QueueAdmin & MessageTaker;
}
