import { z } from "zod";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import { brokerQueue } from "../../core/contract/names.ts";
import { cancelJob } from "../../core/job/cancel.ts";
import type { JobContext } from "../../core/job/context.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { acceptJob } from "../../core/job/enqueue.ts";
import { type Envelope, encodeEnvelope } from "../../core/job/envelope.ts";
import type { DueRef, NewParkedJob } from "../../core/job/parked.ts";
import { registryOf } from "../../core/job/registry.ts";
import { keyHash } from "../../core/keys/key-hash.ts";
import type { Partition } from "../../core/partition/partition.ts";
import { virtualClock } from "../../testing/clock.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import type { MemoryChannel } from "../../testing/memory-channel.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { emptyState } from "../../testing/memory-state.ts";
import { type MemoryStore, memoryStore } from "../../testing/memory-store.ts";
import { Courier } from "../../worker/courier.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { Pipeline } from "../../worker/pipeline.ts";
import { Run } from "../../worker/run.ts";
import { quiet, Scheduler, type Strand } from "./scheduler.ts";
import type { Setup, SimJob } from "./setup.ts";

export const PARTITION = "acme";
export const QUEUE = brokerQueue(PARTITION, "default");
const START = 1_900_000_000_000;

/** One handler that runs: it settles when the test says how. */
export interface Handler {
  readonly job: SimJob;
  readonly ctx: JobContext;
  readonly strand: string;
  settle(how: "returns" | "throws" | "aborted"): void;
}

export interface SimTask {
  readonly boot: string;
  readonly broker: MemoryBroker;
  readonly channel: MemoryChannel;
  readonly store: MemoryStore;
  readonly pipeline: Pipeline;
  readonly courier: Courier;
  readonly runs: Map<string, Run>;
  /** The partition's row as this task knows it. */
  row: Partition;
}

/**
 * A table and a broker in memory, and processes that run the project's own code on them: the worker's pipeline, the
 * courier, the enqueue and the cancel protocol. Nothing happens by itself.
 */
export class World {
  readonly jobs: readonly SimJob[];
  readonly scheduler = new Scheduler();
  readonly clock = virtualClock(START);
  readonly state = emptyState();
  readonly rabbit = new MemoryRabbit(this.state);
  readonly tasks = new Map<string, SimTask>();
  readonly handlers = new Map<string, Handler>();
  /** Tasks that are dead, and those of them that are known to be. */
  readonly dead = new Set<string>();
  readonly declaredDead = new Set<string>();
  readonly accepted = new Set<string>();
  readonly done = new Map<string, number>();
  readonly cancelled = new Map<string, number>();
  readonly violations: string[] = [];
  row: Partition = {
    id: PARTITION,
    status: "running",
    revision: 1,
    pools: { default: { default: 10 } },
    paused: [],
    held: {},
    shares: {},
    cancelSeq: 0,
  };
  readonly #killer: string | undefined;
  readonly #sabotage: (store: MemoryStore) => MemoryStore;
  #count = 0;

  constructor({ jobs, tasks, sabotage, killer }: Pick<Setup, "jobs" | "tasks" | "sabotage" | "killer">) {
    this.jobs = jobs;
    this.#killer = killer;
    this.#sabotage = sabotage ?? ((store) => store);
    this.rabbit.state.queues[QUEUE] = { returned: [], fresh: [], unacked: {} };
    for (let i = 1; i <= tasks; i++) this.addTask(`T${i}`);
  }

  addTask(boot: string): SimTask {
    const { clock, state, scheduler } = this;
    const raw = this.#sabotage(memoryStore({ clock, state, hook: scheduler.hook }));
    const store = Object.fromEntries(Object.entries(raw).map(([name, port]) => [name, scheduler.observed(port)])) as unknown as MemoryStore;
    const broker = new MemoryBroker(this.rabbit, scheduler.hook);
    const runs = new Map<string, Run>();
    const emit = (event: WorkerEvent): void => {
      if (event.type === "job_cancelled") this.cancelled.set(event.job.id, (this.cancelled.get(event.job.id) ?? 0) + 1);
    };
    const pipeline: Pipeline = new Pipeline({
      boot,
      registry: registryOf({ job: this.#definition() }),
      hooks: [],
      threads: { perform: () => Promise.reject(new Error("no threads here")), start: async () => undefined, stop: async () => undefined },
      store,
      clock,
      // That markers are known late is in the model already: a task polls late.
      timings: { ...DEFAULT_TIMINGS, cancels: 0 },
      emit,
      tasks: { takeable: () => [...this.declaredDead], knows: () => true, present: async () => new Set(this.tasks.keys()) },
      row: () => this.tasks.get(boot)?.row ?? this.row,
      running: () => runs.values(),
      // Time does not pass by itself; whoever pauses goes on, at a moment of the test's choice, with its next call.
      pause: async () => undefined,
      giveBackOlderThan: () => undefined,
    });
    const publisher = scheduler.observed(broker.publisher);
    const rows = { get: () => this.row, refresh: async () => this.row };
    const { keyring, hooks } = pipeline;
    const courier = new Courier({ ...store, keyring, hooks, publisher, admin: broker.admin, rows, clock, timings: DEFAULT_TIMINGS, emit });
    const task = { boot, broker, channel: broker.partition(PARTITION), store, pipeline, courier, runs, row: this.row };
    this.tasks.set(boot, task);
    return task;
  }

  /** A client, which may die, enqueues by way of the broker. */
  async enqueue(job: SimJob): Promise<Strand> {
    const { clock, scheduler } = this;
    const process = `client of ${job.id}`;
    const store = memoryStore({ clock, state: this.state, hook: scheduler.hook });
    const { publisher } = new MemoryBroker(this.rabbit, scheduler.hook);
    const body = encodeEnvelope(this.#envelope(job));
    const now = clock.now();
    const parked: NewParkedJob = {
      partition: PARTITION,
      id: job.id,
      enqueuedAt: START,
      name: "sim",
      queue: "default",
      attempt: 1,
      reason: "outbox",
      due: now,
      since: now,
      body,
    };
    const key = job.queueKey === undefined ? undefined : { ref: { partition: PARTITION, key: job.queueKey }, takeDone: true };
    return scheduler.begin(`enqueue ${job.id}`, process, async () => {
      const queueKeys = scheduler.observed(store.queueKeys);
      const publish = scheduler.observed(publisher);
      const answer = await acceptJob({ queueKeys, clock }, parked, key, async () => {
        await publish.publish({ brokerQueue: QUEUE, partition: PARTITION, id: job.id, body });
        return true;
      });
      if (answer.accepted) this.accepted.add(job.id);
    });
  }

  /** The job is in its queue, its key (if it has one) its own: as if its enqueueing lay far back. */
  putQueued(job: SimJob): void {
    this.accepted.add(job.id);
    this.publishCopy(job);
    if (job.queueKey === undefined) return;
    const handle = { partition: PARTITION, hash: keyHash(job.queueKey) };
    this.state.queueKeys[`${PARTITION}/${handle.hash}`] = { handle, jobId: job.id, state: "queued", attempt: 1 };
  }

  publishCopy(job: SimJob): void {
    this.state.queues[QUEUE]?.fresh.push({ id: job.id, partition: PARTITION, body: encodeEnvelope(this.#envelope(job)), returns: 0 });
  }

  async cancel(job: SimJob): Promise<Strand> {
    const { clock, scheduler } = this;
    const store = memoryStore({ clock, state: this.state, hook: scheduler.hook });
    const cancels = scheduler.observed(store.cancels);
    const parked = scheduler.observed(store.parked);
    const queueKeys = scheduler.observed(store.queueKeys);
    return scheduler.begin(`cancel ${job.id}`, `canceller of ${job.id}`, async () => {
      await cancelJob({ cancels, parked, queueKeys, clock, partitions: { announceCancel: async () => this.#announce() } }, PARTITION, job.id);
    });
  }

  /** The task polls the partition's row. */
  async poll(task: SimTask): Promise<void> {
    task.row = this.row;
    this.#count += 1;
    await this.scheduler.begin(`poll ${task.boot} ${this.#count}`, task.boot, async () => task.pipeline.cancelWatch.rowChanged(PARTITION, this.row));
  }

  /** Hands the next message to a task. @returns `false` when none is ready or the task is cut off */
  async deliver(task: SimTask): Promise<boolean> {
    const delivery = task.channel.pull(QUEUE);
    if (delivery === undefined) return false;
    const run = new Run({ delivery, receivedAt: this.clock.monotonic(), startedAt: this.clock.now(), makeLog: () => SILENT });
    this.#count += 1;
    const name = `${task.boot} runs ${delivery.messageId} #${this.#count}`;
    task.runs.set(name, run);
    await this.scheduler.begin(name, task.boot, async () => {
      await task.pipeline.runner.run(run);
      task.runs.delete(name);
    });
    return true;
  }

  async pump(task: SimTask, ref: DueRef): Promise<void> {
    this.#count += 1;
    const what = ref.kind === "parked" ? ref.ref.id : "outbox";
    await this.scheduler.begin(`${task.boot} pumps ${what} #${this.#count}`, task.boot, () => task.courier.bring(ref));
  }

  due(): DueRef[] {
    const { state, clock } = this;
    const now = clock.now();
    return [
      ...Object.values(state.parked).flatMap(({ partition, id, due }) => (due <= now ? [{ kind: "parked" as const, ref: { partition, id } }] : [])),
      ...Object.values(state.queueKeys).flatMap(({ handle, due = Infinity }) => (due <= now ? [{ kind: "queue_key" as const, ref: handle }] : [])),
    ];
  }

  /** Its messages go back, its runs are gone; nobody knows yet that it is dead. */
  crash(task: SimTask): void {
    this.scheduler.kill(task.boot);
    this.tasks.delete(task.boot);
    this.dead.add(task.boot);
    for (const [name, handler] of this.handlers) if (handler.strand.startsWith(`${task.boot} `)) this.handlers.delete(name);
    task.broker.sever();
  }

  /** The connection is gone and the task knows: its runs are aborted, and go on until their handlers settle. */
  lose(task: SimTask): void {
    task.broker.notice();
    for (const run of task.runs.values()) if (run.delivery.lost) run.abort("connection_lost");
    task.broker.reconnect();
  }

  /** What is wrong with how it all ended; `undefined` when every accepted job has come to its end and nothing is held. */
  leftOver(): string | undefined {
    const { state } = this;
    for (const { id } of this.jobs) {
      const ended = this.done.has(id) || state.cancels[`${PARTITION}/`]?.[id]?.hit !== undefined;
      const grave = state.buried[`${PARTITION}/${id}`];
      if (this.accepted.has(id) && !ended && grave === undefined) return `job ${id} is lost`;
      if (grave !== undefined && (grave.reason === "poison") !== (id === this.#killer)) return `job ${id} is buried as ${grave.reason}`;
      if ((this.cancelled.get(id) ?? 0) > 1) return `onCancel of ${id} was called ${this.cancelled.get(id)} times`;
    }
    // A lock that a dead task holds is free to whoever asks next.
    const [lock] = Object.values(state.locks).filter(({ holder, task = "" }) => holder !== undefined && !this.dead.has(task));
    if (lock !== undefined) return `an execution key is still held by ${lock.holder}`;
    const [key] = Object.values(state.queueKeys).filter((item) => item.state !== "done");
    if (key !== undefined) return `a queue key is still ${key.state} for ${key.jobId}`;
    const [parked] = Object.values(state.parked);
    if (parked !== undefined) return `${parked.id} is still parked (${parked.reason})`;
    return Object.keys(state.waiters).length > 0 ? "a waiter's row is left" : undefined;
  }

  quiet(): Promise<void> {
    return quiet();
  }

  #announce(): boolean {
    this.row = { ...this.row, cancelSeq: this.row.cancelSeq + 1 };
    return true;
  }

  #definition() {
    return defineJob({
      name: "sim",
      args: z.object({ id: z.string() }),
      retry: { levels: [0, 0, 0] },
      perform: ({ id }, ctx) => this.#perform(id, ctx),
    });
  }

  #perform(id: string, ctx: JobContext): Promise<void> {
    const job = this.jobs.find((known) => known.id === id);
    if (job === undefined) throw new Error(`no job ${id}`);
    for (const other of this.handlers.values()) {
      if (job.executionKey !== undefined && other.job.executionKey === job.executionKey)
        this.violations.push(`${id} and ${other.job.id} of one execution key run at once`);
      if (job.queueKey !== undefined && other.job.queueKey === job.queueKey)
        this.violations.push(`${id} and ${other.job.id} of one queue key run at once`);
    }
    const key = Object.values(this.state.queueKeys).find(({ jobId }) => jobId === id);
    if (key?.state === "done") this.violations.push(`${id} runs again though its queue key is done`);
    this.#count += 1;
    const name = `handler ${id} #${this.#count}`;
    const strand = this.scheduler.current?.name ?? "";
    return new Promise((resolve, reject) => {
      const settle: Handler["settle"] = (how) => {
        this.handlers.delete(name);
        if (how !== "returns") return reject(how === "aborted" ? ctx.signal.reason : new Error("it failed"));
        this.done.set(id, (this.done.get(id) ?? 0) + 1);
        resolve();
      };
      this.handlers.set(name, { job, ctx, strand, settle });
    });
  }

  #envelope({ id, queueKey, executionKey }: SimJob): Envelope {
    return {
      v: 1,
      id,
      name: "sim",
      args: { id },
      partition: PARTITION,
      queue: "default",
      ...(queueKey === undefined ? {} : { queue_key: queueKey }),
      ...(executionKey === undefined ? {} : { execution_key: executionKey }),
      attempt: 1,
      enqueued_at: START,
    };
  }
}

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
