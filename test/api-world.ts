import { randomUUID } from "node:crypto";
import { afterAll, beforeAll } from "vitest";
import { z } from "zod";
import { systemClock } from "../core/contract/clock.ts";
import type { MessageTaker, QueueAdmin, TakeOptions } from "../core/job/broker.ts";
import type { BuriedJob } from "../core/job/buried.ts";
import { defineJob } from "../core/job/define-job.ts";
import { newJobId } from "../core/job/id.ts";
import type { NewParkedJob } from "../core/job/parked.ts";
import { registryOf } from "../core/job/registry.ts";
import type { TaskLease, TaskReport } from "../core/partition/task-store.ts";
import { composeApp } from "../functions/app.ts";
import type { AllDeps, Log } from "../functions/deps.ts";
import { startDynamo } from "../local/dynamodb.ts";
import { openDocument } from "../store/client.ts";
import { openStore, type Store } from "../store/store.ts";
import { createTable } from "../store/table.ts";

export const TEST_JOBS = registryOf({
  greet: defineJob({ name: "greet", args: z.object({ who: z.string() }), perform: () => {} }),
  mail: defineJob({ name: "mail", args: z.object({ to: z.string() }), queue: "mail", perform: () => {} }),
  nothing: defineJob({ name: "nothing", args: z.object({}), perform: () => {} }),
  invoice: defineJob({
    name: "invoice",
    args: z.object({ invoice: z.string(), customer: z.string().optional() }),
    queueKey: ({ invoice }) => `invoice:${invoice}`,
    executionKey: ({ customer }) => customer,
    perform: () => {},
  }),
  exclusive: defineJob({ name: "exclusive", args: z.object({ key: z.string() }), executionKey: ({ key }) => key, perform: () => {} }),
  link: defineJob({ name: "link", args: z.object({ to: z.string().transform((text) => new URL(text)) }), perform: () => {} }),
  secret: defineJob({ name: "secret", args: z.object({ word: z.string() }), executionKey: ({ word }) => word, redact: true, perform: () => {} }),
  card: defineJob({
    name: "card",
    args: z.object({ number: z.string() }),
    redact: (args) => ({ number: `…${(args as { number: string }).number.slice(-4)}` }),
    perform: () => {},
  }),
});

/** What the app logged, for tests that care. */
export interface RecordedLog extends Log {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: Readonly<Record<string, unknown>> }[];
}

export function recordedLog(): RecordedLog {
  const lines: RecordedLog["lines"] = [];
  const at =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
      void lines.push({ level, message, fields });
  return { lines, info: at("info"), warn: at("warn"), error: at("error") };
}

/** Queues in memory, in RabbitMQ's place where a test is about something else. */
export class QueuesInMemory implements QueueAdmin, MessageTaker {
  readonly bodies = new Map<string, Buffer[]>();
  ensure = async (name: string) => void (this.bodies.has(name) || this.bodies.set(name, []));
  depth = async (name: string) => this.bodies.get(name)?.length;
  peek = async (name: string, limit: number) => this.bodies.get(name)?.slice(0, limit);
  remove = async (name: string) => void this.bodies.delete(name);
  take = async (name: string, { limit, settle }: TakeOptions) => {
    const waiting = this.bodies.get(name);
    if (waiting === undefined) return undefined;
    const gone = await Promise.all(waiting.map((body, i) => i < limit && settle(body)));
    this.bodies.set(
      name,
      waiting.filter((_, i) => !gone[i]),
    );
    return gone.filter(Boolean).length;
  };
  purge = async (name: string) => {
    const waiting = this.bodies.get(name)?.length;
    if (waiting !== undefined) this.bodies.set(name, []);
    return waiting;
  };
}

export interface ApiWorld {
  readonly endpoint: string;
  readonly table: string;
  readonly store: Store;
  readonly log: RecordedLog;
  readonly queues: QueuesInMemory;
  readonly deps: AllDeps;
  /** Calls the whole app with `deps` as they are, or with some replaced. */
  call(method: string, path: string, body?: unknown, replaced?: Partial<AllDeps>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
  readonly text: string;
}

/** A table of its own for the test file, filled in before its first test. */
export function apiWorld(): ApiWorld {
  const world = {} as { -readonly [K in keyof ApiWorld]: ApiWorld[K] };
  const cleanup = new AsyncDisposableStack();
  beforeAll(async () => {
    const dynamo = await startDynamo();
    cleanup.defer(() => dynamo.stop());
    const document = openDocument({ endpoint: dynamo.endpoint });
    cleanup.defer(() => document.destroy());
    world.endpoint = dynamo.endpoint;
    world.table = `roger-${randomUUID()}`;
    await createTable(document, world.table);
    world.store = openStore({ document, table: world.table, clock: systemClock });
    world.log = recordedLog();
    world.queues = new QueuesInMemory();
    world.deps = { store: world.store, clock: systemClock, log: world.log, registry: TEST_JOBS, withQueues: (work) => work(world.queues) };
    world.call = (method, path, body, replaced = {}) => call({ ...world.deps, ...replaced }, method, path, body);
  });
  afterAll(() => cleanup.disposeAsync());
  return world;
}

async function call(deps: AllDeps, method: string, path: string, body: unknown): Promise<Answer> {
  // As `curl -d` sends it: no content type of ours.
  const init = body === undefined ? {} : { body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body) };
  const response = await composeApp(deps).request(path, { method, ...init } as RequestInit);
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text === "" ? undefined : JSON.parse(text) };
}

export function freshPartition(): string {
  return `t-${randomUUID().slice(0, 8)}`;
}

export function lease(change: Partial<TaskLease> = {}): TaskLease {
  return { boot: randomUUID(), pool: "default", slots: 10, beat: 1, draining: false, free: 10, full: false, connected: true, dead: false, ...change };
}

export function report(of: TaskLease, change: Partial<TaskReport> = {}): TaskReport {
  return {
    boot: of.boot,
    pool: of.pool,
    slots: of.slots,
    at: systemClock.now(),
    startedAt: systemClock.now() - 60_000,
    busy: 0,
    memoryBytes: 1_000_000,
    shards: [],
    queues: [],
    running: [],
    runningLeftOut: 0,
    ...change,
  };
}

export function parkedJob(partition: string, change: Partial<NewParkedJob> = {}): NewParkedJob {
  const id = change.id ?? newJobId();
  const { enqueuedAt = 1_000 } = change;
  const envelope = { v: 1, id, name: "greet", args: { who: "you" }, partition, queue: "default", attempt: 1, enqueued_at: enqueuedAt };
  return {
    partition,
    id,
    enqueuedAt,
    name: "greet",
    queue: "default",
    attempt: 1,
    reason: "outbox",
    due: systemClock.now(),
    since: systemClock.now(),
    body: JSON.stringify(envelope),
    ...change,
  };
}

export function buriedJob(partition: string, change: Partial<Omit<BuriedJob, "rev">> = {}): Omit<BuriedJob, "rev"> {
  const id = change.id ?? newJobId();
  const error = { name: "Error", message: "no" };
  const history = [{ attempt: 1, started_at: 1_000, failed_at: 2_000, task: "t1", error }];
  const { body } = parkedJob(partition, { id });
  return {
    partition,
    id,
    name: "greet",
    queue: "default",
    attempt: 1,
    enqueuedAt: 1_000,
    reason: "failed",
    buriedAt: systemClock.now(),
    error,
    history,
    body,
    ...change,
  };
}
