import type { Clock } from "../core/contract/clock.ts";
import type { Timings } from "../core/contract/limits.ts";
import { type Service, startAll, stopAll } from "../core/contract/service.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import type { Hooks } from "../core/job/hooks.ts";
import type { ParkedRef, ParkedStore } from "../core/job/parked.ts";
import type { Registry } from "../core/job/registry.ts";
import type { SuspectStore } from "../core/job/suspects.ts";
import { ExecutionKeys } from "../core/keys/execution-key.ts";
import type { ExecutionKeyStore } from "../core/keys/execution-key-store.ts";
import { QueueKeys } from "../core/keys/queue-key.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { Partition } from "../core/partition/partition.ts";
import { CancelWatch } from "./cancel-watch.ts";
import { Keyring } from "./claims.ts";
import { Debts } from "./debts.ts";
import type { Emit } from "./events.ts";
import { HookRunner } from "./hook-runner.ts";
import { JobRunner } from "./job-runner.ts";
import { KnownRuns, type TaskView } from "./known-runs.ts";
import { LongRuns } from "./long-runs.ts";
import { LoopLag } from "./loop-lag.ts";
import type { Threads } from "./perform.ts";
import { Recorder } from "./record.ts";
import type { Run } from "./run.ts";
import { StuckRuns } from "./stuck-runs.ts";
import { Suspects } from "./suspects.ts";

/** The part of the global state that jobs live in. */
export interface JobStores {
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly queueKeys: QueueKeyStore;
  readonly executionKeys: ExecutionKeyStore;
  readonly cancels: CancelStore;
  readonly suspects: SuspectStore;
}

export interface PipelineOptions {
  /** The task. */
  readonly boot: string;
  readonly registry: Registry;
  readonly hooks: readonly Hooks[];
  readonly threads: Threads & Service;
  readonly store: JobStores;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  readonly tasks: TaskView;
  /** The partition as this task knows it. */
  row(partition: string): Partition | undefined;
  /** The runs under way, of one partition or of all. */
  running(partition?: string): Iterable<Run>;
  /** Resolves after so many ms. */
  pause(ms: number): Promise<void>;
  /** Hands back the deliveries that have waited for a turn for so long, in ms. */
  giveBackOlderThan(ms: number): void;
  /** A job that waits for an execution key may go on: it need not wait for the pump's next round. @default it does */
  onDue?(job: ParkedRef): void;
  /** Whether the lease allows a new job at this moment. @default it always does */
  mayStart?(): boolean;
}

/** Everything that a delivery passes through on its way to its ack, wired together; no broker, no lease, no shares. */
export class Pipeline implements Service {
  readonly runner: JobRunner;
  readonly recorder: Recorder;
  readonly keyring: Keyring;
  readonly cancelWatch: CancelWatch;
  readonly hooks: HookRunner;
  readonly longRuns: LongRuns;
  readonly debts: Debts;
  readonly #services: readonly Service[];

  constructor({
    boot,
    registry,
    hooks,
    threads,
    store,
    clock,
    timings,
    emit,
    tasks,
    row,
    running,
    giveBackOlderThan,
    pause,
    onDue,
    mayStart = () => true,
  }: PipelineOptions) {
    const { parked, buried, cancels } = store;
    const runs = new KnownRuns(boot, tasks);
    this.debts = new Debts(emit, clock);
    const loopLag = new LoopLag();
    const stuckRuns = new StuckRuns({ registry, clock, emit, graceMs: timings.grace, running: () => running() });
    this.longRuns = new LongRuns({ boot, parked, clock, timings, emit, running: () => running(), giveBackOlderThan });
    this.recorder = new Recorder({ parked, buried, clock, emit });
    this.hooks = new HookRunner(hooks, emit, timings.hook);
    this.keyring = new Keyring({
      boot,
      queueKeys: new QueueKeys(store.queueKeys, runs, clock),
      executionKeys: new ExecutionKeys(store.executionKeys, parked, runs, clock, onDue),
      runs,
      debts: this.debts,
    });
    this.cancelWatch = new CancelWatch({
      cancels,
      clock,
      timings,
      emit,
      row,
      onMarked: (partition) => {
        for (const run of running(partition)) if (run.envelope !== undefined && this.cancelWatch.knows(run.envelope)) run.abort("cancelled");
      },
    });
    this.runner = new JobRunner({
      boot,
      registry,
      recorder: this.recorder,
      keyring: this.keyring,
      suspects: new Suspects({ store: store.suspects, emit, loopLag: () => loopLag.maxMs }),
      cancelWatch: this.cancelWatch,
      cancels,
      longRuns: this.longRuns,
      hooks: this.hooks,
      threads,
      clock,
      emit,
      graceMs: timings.grace,
      pause,
      mayStart,
    });
    this.#services = [loopLag, this.debts, this.longRuns, stuckRuns, threads, this.cancelWatch];
  }

  /** No key is held by a run that has ended. */
  get owesNothing(): boolean {
    return this.debts.none;
  }

  start(): Promise<void> {
    return startAll(this.#services);
  }

  /** Once nothing runs any more. Gives the hooks under way their time, and what is owed a last try. */
  async stop(): Promise<void> {
    await this.hooks.rested();
    await stopAll(this.#services);
    // What fails now is left to this task's death, which its caller declares.
    await this.debts.pay().catch(() => undefined);
  }
}
