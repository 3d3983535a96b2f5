import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Client, EnqueueOptions } from "../client/client.ts";
import type { Enqueued } from "../client/enqueuer.ts";
import { brokerQueue } from "../core/contract/names.ts";
import type { CancelAnswer } from "../core/job/cancel.ts";
import type { JobDefinition, JobSpec } from "../core/job/define-job.ts";
import type { Hooks } from "../core/job/hooks.ts";
import { registryOf } from "../core/job/registry.ts";
import { reviveJob } from "../core/job/revive.ts";
import type { WorkerEvent } from "../worker/events.ts";
import { type EnqueuedJob, type ExpectedJob, findEnqueued, refuseEnqueued } from "./assert-enqueued.ts";
import { checkedMs, type VirtualClock, virtualClock } from "./clock.ts";
import { EnqueueLog } from "./enqueue-log.ts";
import { MemoryBroker } from "./memory-broker.ts";
import { MemoryRabbit } from "./memory-rabbit.ts";
import { emptyState } from "./memory-state.ts";
import { type MemoryStore, memoryStore } from "./memory-store.ts";
import { declareQueue } from "./queue-state.ts";
import { TestRows } from "./rows.ts";
import { buriedJobs, parkedJobs, queuedJobs, type SeenBuriedJob, type SeenJob, type SeenParkedJob } from "./seen-jobs.ts";
import { type Outcomes, Tally } from "./tally.ts";
import { TestClient } from "./test-client.ts";
import { MOST_RUNS, TestWorker } from "./test-worker.ts";

export interface TestRogerOptions {
  /** What the worker knows to run. */
  readonly jobs: readonly JobDefinition[];
  /** The queues of each partition; what is not among them is refused as it would be in truth. @default all that are named by a job */
  readonly partitions?: Readonly<Record<string, readonly string[]>>;
  /** @default none */
  readonly hooks?: readonly Hooks[];
  /** `manual`: jobs run when the test says so. `inline`: `enqueue` runs the job, and all that it enqueues, at once. @default "manual" */
  readonly mode?: "manual" | "inline";
  /** Jobs that run at the same time: with 1 each ends before the next begins. @default 1 */
  readonly slots?: number;
  /** Epoch ms at which the test's time begins. @default a time in 2030 */
  readonly startAt?: number;
}

/**
 * Roger in memory, for tests of jobs and of what enqueues them: the real way of a job through a worker, on queues and a
 * table that are one object, in a time that the test moves. Nothing of it runs by itself; it needs no ending.
 */
export function testRoger(options: TestRogerOptions): TestRoger {
  return new TestRoger(options);
}

export class TestRoger {
  readonly clock: VirtualClock;
  /** For the code under test: the real client, on this kit. */
  readonly client: Client;
  /** All that the worker has told, failures of hooks among them (`trouble`). */
  readonly events: WorkerEvent[] = [];
  readonly #state = emptyState();
  readonly #rabbit = new MemoryRabbit(this.#state);
  readonly #rows = new TestRows();
  readonly #log = new EnqueueLog();
  readonly #tally = new Tally();
  readonly #store: MemoryStore;
  readonly #worker: TestWorker;
  #draining = false;
  /** Something was enqueued while a drain was under way, perhaps after that had looked for the last time. */
  #more = false;

  constructor({ jobs, hooks = [], mode = "manual", slots = 1, partitions, startAt }: TestRogerOptions) {
    this.clock = virtualClock(startAt);
    this.#store = memoryStore({ clock: this.clock, state: this.#state });
    this.#worker = new TestWorker({
      boot: "test-task",
      registry: registryOf(Object.fromEntries(jobs.map((job, i) => [i, job]))),
      hooks: [this.#tally.hooks, ...hooks],
      slots,
      state: this.#state,
      store: this.#store,
      broker: new MemoryBroker(this.#rabbit),
      rows: this.#rows,
      clock: this.clock,
      emit: (event) => {
        this.events.push(event);
        this.#tally.heard(event);
      },
      dead: () => [],
      onEnded: ({ envelope }) => this.#tally.ended(envelope?.id),
    });
    this.client = this.#makeClient(mode, partitions === undefined);
    for (const [partition, queues] of Object.entries(partitions ?? {})) for (const queue of queues) this.#open(partition, queue);
  }

  /** Enqueues a job as an application does. @throws as `Client.enqueue` */
  enqueue<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    args: StandardSchemaV1.InferInput<Schema>,
    options: EnqueueOptions,
  ): Promise<Enqueued> {
    return this.client.enqueue(spec, args, options);
  }

  /** Runs all that is due, and what that enqueues, until nothing is left that is due. @throws Error when there is no end of it */
  async drain(): Promise<Outcomes> {
    await this.#exclusively(() => this.#worker.drain(MOST_RUNS));
    return this.#tally.take();
  }

  /**
   * Moves the time on, and runs at its own time each job that comes due on the way. Begins with a drain.
   * @param ms whole ones from 0
   * @throws as `drain`; RangeError
   */
  async advance(ms: number): Promise<Outcomes> {
    await this.#exclusively(async () => {
      const end = this.clock.now() + checkedMs(ms);
      let left = await this.#worker.drain(MOST_RUNS);
      for (let due = this.#worker.nextDue(); due !== undefined && due <= end; due = this.#worker.nextDue()) {
        this.clock.advance(Math.max(0, due - this.clock.now()));
        left = await this.#worker.drain(left);
      }
      // A job that had to wait for the table or for itself has moved the time, too.
      this.clock.advance(Math.max(0, end - this.clock.now()));
    });
    return this.#tally.take();
  }

  /** Cancels a job, wherever it is. @throws as `Client.cancel` */
  cancel(partition: string, jobId: string): Promise<CancelAnswer> {
    return this.client.cancel(partition, jobId);
  }

  /** Brings a buried job back, as a person would: the next drain runs it. @throws Error when no such job is buried, or its queue key is another's by now */
  async retryBuried(partition: string, jobId: string): Promise<void> {
    const grave = await this.#store.buried.get(partition, jobId);
    if (grave === undefined) throw new Error(`no job ${jobId} is buried in ${partition}`);
    const revived = await reviveJob({ ...this.#store, clock: this.clock }, grave);
    if (revived.kind === "taken") throw new Error(`the queue key of job ${jobId} belongs to job ${revived.holder.jobId} by now`);
  }

  /** @returns the first job that is as expected. @throws AssertionError that tells what was enqueued instead */
  assertEnqueued(spec: Pick<JobSpec, "name">, expected: ExpectedJob = {}): EnqueuedJob {
    return findEnqueued(spec.name, expected, this.#log.jobs);
  }

  /** @throws AssertionError when such a job was enqueued */
  refuteEnqueued(spec: Pick<JobSpec, "name">, expected: ExpectedJob = {}): void {
    refuseEnqueued(spec.name, expected, this.#log.jobs);
  }

  /** All that was accepted since the beginning, oldest first, wherever it is now. */
  get enqueued(): readonly EnqueuedJob[] {
    return this.#log.jobs;
  }

  /** What waits in queues, the next to run first. */
  queued(): SeenJob[] {
    return queuedJobs(this.#state);
  }

  /** What waits for a time or a key, the first due first. */
  parked(): SeenParkedJob[] {
    return parkedJobs(this.#state);
  }

  /** What is dead, oldest first. */
  buried(): SeenBuriedJob[] {
    return buriedJobs(this.#state);
  }

  #makeClient(mode: "manual" | "inline", anywhere: boolean): Client {
    const line = new MemoryBroker(this.#rabbit, this.#log).publisher;
    const announceCancel = async (id: string): Promise<boolean> => {
      const row = this.#rows.cancelled(id);
      if (row !== undefined) this.#worker.rowChanged(row);
      return row !== undefined;
    };
    return new TestClient({
      table: "test-table",
      store: {
        ...memoryStore({ clock: this.clock, state: this.#state, hook: this.#log }),
        partitions: { get: (id) => this.#rows.refresh(id), announceCancel },
        tasks: { reports: async () => [] },
      },
      line: { publish: (job) => line.publish(job), close: async () => undefined },
      clock: this.clock,
      release: () => undefined,
      onDestination: (partition, queue) => {
        if (anywhere) this.#open(partition, queue);
      },
      onEnqueued: async () => {
        // Enqueued by a job that runs in a drain, or beside it: that drain sees to it.
        if (this.#draining) this.#more = true;
        else if (mode === "inline") await this.drain();
      },
    });
  }

  #open(partition: string, queue: string): void {
    this.#rows.name(partition, queue);
    declareQueue(this.#state, brokerQueue(partition, queue));
  }

  async #exclusively(work: () => Promise<unknown>): Promise<void> {
    if (this.#draining) throw new Error("a drain is under way: await it, and leave draining to the test when a job runs");
    this.#draining = true;
    try {
      await work();
      // Nothing is awaited between this look and the end: what comes later finds no drain under way, and begins its own.
      while (this.#more) {
        this.#more = false;
        await this.#worker.drain(MOST_RUNS);
      }
    } finally {
      this.#draining = false;
    }
  }
}
