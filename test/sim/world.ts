import { z } from "zod";
import { DEFAULT_TIMINGS, LIMITS } from "../../core/contract/limits.ts";
import { brokerQueue } from "../../core/contract/names.ts";
import { EVERY_LIFE, pardonOf } from "../../core/job/cancels.ts";
import type { JobContext } from "../../core/job/context.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { type Envelope, encodeEnvelope } from "../../core/job/envelope.ts";
import type { DueRef } from "../../core/job/parked.ts";
import { registryOf } from "../../core/job/registry.ts";
import { Discard } from "../../core/job/verdicts.ts";
import { keyHash } from "../../core/keys/key-hash.ts";
import type { Partition } from "../../core/partition/partition.ts";
import { virtualClock } from "../../testing/clock.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import type { MemoryChannel } from "../../testing/memory-channel.ts";
import { MemoryRabbit } from "../../testing/memory-rabbit.ts";
import { emptyState } from "../../testing/memory-state.ts";
import { type MemoryStore, memoryStore } from "../../testing/memory-store.ts";
import { Courier } from "../../worker/courier.ts";
import { Pipeline } from "../../worker/pipeline.ts";
import { Run } from "../../worker/run.ts";
import { Ledger, type Life } from "./ledger.ts";
import { quiet, Scheduler } from "./scheduler.ts";
import { idOf, queueKeyOf, type Setup, type SimJob } from "./setup.ts";

export const PARTITION = "acme";
export const QUEUE = brokerQueue(PARTITION, "default");
const START = 1_900_000_000_000;
/** Which jobs that were pardoned are pardoned. */
const MARKER = { at: EVERY_LIFE, rev: "r0", seq: START } as const;

/** One handler that runs: it settles when the test says how. */
export interface Handler {
  readonly life: Life;
  readonly run: Run | undefined;
  readonly ctx: JobContext;
  readonly strand: string;
  settle(how: "returns" | "throws" | "discards" | "aborted"): void;
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
 * A table and a broker in memory, and tasks that run the project's own code on them: the worker's pipeline and the courier.
 * (Clients and people are in outside.ts.) Nothing happens by itself.
 */
export class World {
  readonly jobs: readonly SimJob[];
  readonly scheduler = new Scheduler();
  readonly clock = virtualClock(START);
  readonly state = emptyState();
  readonly rabbit = new MemoryRabbit(this.state);
  readonly ledger = new Ledger();
  readonly tasks = new Map<string, SimTask>();
  readonly handlers = new Map<string, Handler>();
  /** Tasks that are dead, and those of them that are known to be. */
  readonly dead = new Set<string>();
  readonly declaredDead = new Set<string>();
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
  readonly #mostKilled: (messages: number) => number;
  /** The most messages that the killer has had at once. */
  #messages = 1;
  readonly #sabotage: (store: MemoryStore) => MemoryStore;
  #count = 0;

  constructor({ jobs, tasks, sabotage, killer, mostKilled = () => Infinity }: Pick<Setup, "jobs" | "tasks" | "sabotage" | "killer" | "mostKilled">) {
    this.jobs = jobs;
    this.#killer = killer;
    this.#mostKilled = mostKilled;
    this.#sabotage = sabotage ?? ((store) => store);
    this.rabbit.state.queues[QUEUE] = { returned: [], fresh: [], unacked: {} };
    for (let i = 1; i <= tasks; i++) this.addTask(`T${i}`);
  }

  /** The table as one process sees it. */
  openStore(): MemoryStore {
    const { clock, state, scheduler } = this;
    const raw = this.#sabotage(memoryStore({ clock, state, hook: scheduler.hook }));
    return Object.fromEntries(Object.entries(raw).map(([name, port]) => [name, scheduler.observed(port)])) as unknown as MemoryStore;
  }

  /** Unique in this world. */
  next(): number {
    this.#count += 1;
    return this.#count;
  }

  addTask(boot: string): SimTask {
    const { clock, scheduler } = this;
    const store = this.openStore();
    const broker = new MemoryBroker(this.rabbit, scheduler.hook);
    const runs = new Map<string, Run>();
    const emit = (): void => undefined;
    // That markers are known late is in the model already: a task polls late.
    const timings = { ...DEFAULT_TIMINGS, cancels: 0 };
    const pipeline: Pipeline = new Pipeline({
      boot,
      registry: registryOf({ job: this.#definition() }),
      hooks: [{ onCancel: ({ id, enqueuedAt }) => this.ledger.told(this.ledger.of(id, enqueuedAt)) }],
      threads: { perform: () => Promise.reject(new Error("no threads here")), start: async () => undefined, stop: async () => undefined },
      store,
      clock,
      timings,
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
    const courier = new Courier({ ...store, keyring, hooks, publisher, admin: broker.admin, rows, clock, timings, emit });
    const task = { boot, broker, channel: broker.partition(PARTITION), store, pipeline, courier, runs, row: this.row };
    this.tasks.set(boot, task);
    return task;
  }

  /** The job is in its queue, its key (if it has one) its own: as if its enqueueing lay far back. */
  putQueued(job: SimJob): void {
    const life = this.ledger.begin(job, this.clock.now());
    if (job.pardoned === true) this.#putMarker(job);
    this.publishCopy(life);
    // Whatever was promised of it has been kept long ago.
    if (job.late === true) return;
    life.accepted = true;
    const key = queueKeyOf(job);
    if (key === undefined) return;
    const handle = { partition: PARTITION, hash: keyHash(key) };
    const { enqueuedAt } = life;
    this.state.queueKeys[`${PARTITION}/${handle.hash}`] = { handle, jobId: idOf(job), enqueuedAt, state: "queued", attempt: 1 };
  }

  /** Every task knows that there is one. */
  #putMarker(job: SimJob): void {
    const id = idOf(job);
    this.state.cancels[`${PARTITION}/`] = { [id]: { ...MARKER, id, expires: this.clock.now() + LIMITS.cancelKeepMs } };
    this.announce();
    for (const task of this.tasks.values()) task.row = this.row;
  }

  publishCopy({ job, enqueuedAt }: Life): void {
    const body = encodeEnvelope(this.envelope(job, enqueuedAt));
    this.state.queues[QUEUE]?.fresh.push({ id: idOf(job), partition: PARTITION, body, returns: 0 });
  }

  /** The task polls the partition's row. */
  async poll(task: SimTask): Promise<void> {
    task.row = this.row;
    await this.scheduler.begin(`${task.boot} polls #${this.next()}`, task.boot, async () =>
      task.pipeline.cancelWatch.rowChanged(PARTITION, this.row),
    );
  }

  /** There is a new cancel marker. */
  announce(): void {
    this.row = { ...this.row, cancelSeq: this.row.cancelSeq + 1 };
  }

  /** Hands the next message to a task. @returns `false` when none is ready or the task is cut off */
  async deliver(task: SimTask): Promise<boolean> {
    this.#countMessages();
    const delivery = task.channel.pull(QUEUE);
    if (delivery === undefined) return false;
    const job = this.jobs.find((known) => idOf(known) === delivery.messageId);
    const age = job?.long === true ? DEFAULT_TIMINGS.long : 0;
    const run = new Run({ delivery, receivedAt: this.clock.monotonic() - age, startedAt: this.clock.now(), makeLog: () => SILENT });
    const name = `${task.boot} runs ${job?.name} #${this.next()}`;
    task.runs.set(name, run);
    await this.scheduler.begin(name, task.boot, async () => {
      await task.pipeline.runner.run(run);
      task.runs.delete(name);
    });
    return true;
  }

  #countMessages(): void {
    const killer = this.jobs.find(({ name }) => name === this.#killer);
    const queue = this.state.queues[QUEUE];
    if (killer === undefined || queue === undefined) return;
    const messages = [...queue.fresh, ...queue.returned, ...Object.values(queue.unacked)].filter(({ id }) => id === idOf(killer));
    this.#messages = Math.max(this.#messages, messages.length);
  }

  async pump(task: SimTask, ref: DueRef): Promise<void> {
    await this.scheduler.begin(`${task.boot} pumps ${whatOf(ref)} #${this.next()}`, task.boot, () => task.courier.bring(ref));
  }

  /** The task looks after its long runs. */
  async look(task: SimTask): Promise<void> {
    await this.scheduler.begin(`${task.boot} looks #${this.next()}`, task.boot, () => task.pipeline.longRuns.look());
  }

  /** The task gives back what it could not give back before. */
  async pay(task: SimTask): Promise<void> {
    await this.scheduler.begin(`${task.boot} pays #${this.next()}`, task.boot, () => task.pipeline.debts.pay());
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
    for (const run of task.runs.values()) if (run.delivery.lost && task.pipeline.longRuns.isShort(run)) run.abort("connection_lost");
    task.broker.reconnect();
  }

  /** What is wrong with how it all ended; `undefined` when every accepted job has come to its end and nothing is held. */
  leftOver(): string | undefined {
    const { state } = this;
    const unkept = this.ledger.unkept(state, PARTITION, this.#killer);
    if (unkept !== undefined) return unkept;
    // A lock that a dead task holds is free to whoever asks next.
    const [lock] = Object.values(state.locks).filter(({ holder, task = "" }) => holder !== undefined && !this.dead.has(task));
    if (lock !== undefined) return `an execution key is still held by ${lock.holder}`;
    const [key] = Object.values(state.queueKeys).filter((item) => item.state !== "done");
    if (key !== undefined) return `a queue key is still ${key.state} for ${key.jobId}`;
    const [parked] = Object.values(state.parked);
    if (parked !== undefined) return `${parked.id} is still parked (${parked.reason})`;
    const [queue] = Object.values(state.queues).filter(({ unacked, returned, fresh }) => [...Object.keys(unacked), ...returned, ...fresh].length > 0);
    if (queue !== undefined) return "a message is left";
    for (const { boot, pipeline } of this.tasks.values()) if (!pipeline.owesNothing) return `${boot} still owes something`;
    return Object.keys(state.waiters).length > 0 ? "a waiter's row is left" : undefined;
  }

  quiet(): Promise<void> {
    return quiet();
  }

  envelope(job: SimJob, enqueuedAt: number): Envelope {
    const key = queueKeyOf(job);
    return {
      v: 1,
      id: idOf(job),
      name: "sim",
      args: { id: idOf(job), enqueuedAt },
      partition: PARTITION,
      queue: "default",
      ...(key === undefined ? {} : { queue_key: key }),
      ...(job.executionKey === undefined ? {} : { execution_key: job.executionKey }),
      attempt: 1,
      enqueued_at: enqueuedAt,
      ...(job.pardoned === true ? pardonOf(MARKER, enqueuedAt) : {}),
    };
  }

  #definition() {
    return defineJob({
      name: "sim",
      args: z.object({ id: z.string(), enqueuedAt: z.number() }),
      retry: { levels: [0, 0, 0] },
      perform: ({ id, enqueuedAt }, ctx) => this.#perform(this.ledger.of(id, enqueuedAt), ctx),
    });
  }

  #perform(life: Life, ctx: JobContext): Promise<void> {
    this.#look(life);
    const { job } = life;
    const name = `handler ${job.name} #${this.next()}`;
    const strand = this.scheduler.current?.name ?? "";
    const [boot = ""] = strand.split(" ");
    const run = this.tasks.get(boot)?.runs.get(strand);
    return new Promise((resolve, reject) => {
      const settle: Handler["settle"] = (how) => {
        this.handlers.delete(name);
        if (how === "discards") return reject(new Discard("no use"));
        if (how !== "returns") return reject(how === "aborted" ? ctx.signal.reason : new Error("it failed"));
        this.ledger.done(life);
        resolve();
      };
      this.handlers.set(name, { life, run, ctx, strand, settle });
    });
  }

  /** A handler starts: what must not run beside it, or not run at all? */
  #look(life: Life): void {
    const { job, enqueuedAt } = life;
    const { violations } = this.ledger;
    if (job.name === this.#killer) this.ledger.kills(life, this.#mostKilled(this.#messages));
    const key = queueKeyOf(job);
    for (const { life: other } of this.handlers.values()) {
      if (job.executionKey !== undefined && other.job.executionKey === job.executionKey)
        violations.push(`${job.name} and ${other.job.name} of one execution key run at once`);
      if (key !== undefined && queueKeyOf(other.job) === key) violations.push(`${job.name} and ${other.job.name} of one queue key run at once`);
    }
    const held = Object.values(this.state.queueKeys).find((item) => item.jobId === idOf(job) && item.enqueuedAt === enqueuedAt);
    if (held?.state === "done") violations.push(`${job.name} runs again though its queue key is done`);
  }
}

export function whatOf(ref: DueRef): string {
  return ref.kind === "parked" ? ref.ref.id : "outbox";
}

const SILENT = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
