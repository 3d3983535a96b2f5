import { DEFAULT_TIMINGS } from "../core/contract/limits.ts";
import type { JobLog } from "../core/job/context.ts";
import { DUE_SHARDS } from "../core/job/due-shard.ts";
import type { Hooks } from "../core/job/hooks.ts";
import type { Registry } from "../core/job/registry.ts";
import type { Partition } from "../core/partition/partition.ts";
import { Courier } from "../worker/courier.ts";
import type { Emit } from "../worker/events.ts";
import { Pipeline } from "../worker/pipeline.ts";
import { Run } from "../worker/run.ts";
import type { VirtualClock } from "./clock.ts";
import { inlineThreads } from "./inline-threads.ts";
import type { MemoryBroker } from "./memory-broker.ts";
import type { MemoryChannel } from "./memory-channel.ts";
import type { MemoryState } from "./memory-state.ts";
import type { MemoryStore } from "./memory-store.ts";
import type { TestRows } from "./rows.ts";

export interface TestWorkerOptions {
  /** The task. */
  readonly boot: string;
  readonly registry: Registry;
  readonly hooks: readonly Hooks[];
  readonly slots: number;
  readonly state: MemoryState;
  readonly store: MemoryStore;
  readonly broker: MemoryBroker;
  readonly rows: TestRows;
  readonly clock: VirtualClock;
  readonly emit: Emit;
  /** Tasks that have been declared dead. */
  dead(): readonly string[];
  /** A run has ended, and all that it tells was told. */
  onEnded(run: Run): void;
}

/** Whatever was cancelled is known at once: time does not pass by itself. */
const TIMINGS = { ...DEFAULT_TIMINGS, cancels: 0 };
/** A drain that has run so many jobs and still has more is taken for one without an end. */
export const MOST_RUNS = 10_000;
const SILENT: JobLog = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A worker's pump and pipeline, moved step by step. It has no lease, no shares and no timers; it alone has all partitions. */
export class TestWorker {
  readonly #options: TestWorkerOptions;
  readonly #channel: MemoryChannel;
  readonly #pipeline: Pipeline;
  readonly #courier: Courier;
  readonly #running = new Set<Run>();

  constructor(options: TestWorkerOptions) {
    const { boot, registry, hooks, store, broker, rows, clock, emit, dead } = options;
    this.#options = options;
    this.#channel = broker.partition(boot);
    this.#pipeline = new Pipeline({
      boot,
      registry,
      hooks,
      threads: inlineThreads(registry),
      store,
      clock,
      timings: TIMINGS,
      emit,
      tasks: { takeable: dead, knows: () => true, present: async () => new Set([boot]) },
      row: (partition) => rows.get(partition),
      running: (partition) => [...this.#running].filter(({ envelope }) => partition === undefined || envelope?.partition === partition),
      pause: async (ms) => clock.advance(ms),
      giveBackOlderThan: () => undefined,
    });
    const { publisher, admin } = broker;
    this.#courier = new Courier({ ...this.#pipeline, ...store, publisher, admin, rows, clock, timings: TIMINGS, emit });
  }

  /**
   * Runs all that is due now, until nothing is left that is.
   * @param most runs that are allowed
   * @returns how many of them are left
   * @throws Error when they are used up
   */
  async drain(most: number): Promise<number> {
    let left = most;
    for (;;) {
      await this.#bringDue();
      const runs = this.#takeRuns();
      if (runs.length === 0) return left;
      left -= runs.length;
      if (left < 0) throw new Error(`${MOST_RUNS} jobs have run, and more are due: does a job enqueue or snooze itself for ever?`);
      await Promise.all(runs.map((run) => this.#pipeline.runner.run(run)));
      await this.#pipeline.hooks.rested();
      for (const run of runs) {
        this.#running.delete(run);
        this.#options.onEnded(run);
      }
    }
  }

  /** When something is due next, epoch ms. */
  nextDue(): number | undefined {
    const { parked, queueKeys } = this.#options.state;
    const times = [...Object.values(parked), ...Object.values(queueKeys)].flatMap(({ due }) => due ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** There is a new cancel marker. */
  rowChanged(row: Partition): void {
    this.#pipeline.cancelWatch.rowChanged(row.id, row);
  }

  async #bringDue(): Promise<void> {
    const { store, clock } = this.#options;
    for (const shard of DUE_SHARDS) {
      for (const ref of await store.parked.due(shard, clock.now(), Number.POSITIVE_INFINITY)) await this.#courier.bring(ref);
    }
  }

  /** The next jobs, one of each queue in turn. */
  #takeRuns(): Run[] {
    const { state, slots, clock } = this.#options;
    const runs: Run[] = [];
    for (let found = true; found && runs.length < slots; ) {
      found = false;
      for (const queue of Object.keys(state.queues)) {
        const delivery = runs.length < slots ? this.#channel.pull(queue) : undefined;
        if (delivery === undefined) continue;
        found = true;
        runs.push(new Run({ delivery, receivedAt: clock.monotonic(), startedAt: clock.now(), makeLog: () => SILENT }));
      }
    }
    for (const run of runs) this.#running.add(run);
    return runs;
  }
}
