import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../core/contract/clock.ts";
import { checkTimings, type Timings } from "../core/contract/limits.ts";
import { type Service, startAll, stopAll } from "../core/contract/service.ts";
import { Window } from "../core/contract/window.ts";
import type { Broker } from "../core/job/broker.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import type { JobLog } from "../core/job/context.ts";
import type { ParkedStore } from "../core/job/parked.ts";
import type { Registry } from "../core/job/registry.ts";
import type { Partition } from "../core/partition/partition.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import { targetShares } from "../core/partition/shares.ts";
import type { TaskLease, TaskStore } from "../core/partition/task-store.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { Emit } from "./events.ts";
import { Evictor } from "./evictor.ts";
import { Health } from "./health.ts";
import { JobRunner } from "./job-runner.ts";
import { Lease } from "./lease.ts";
import { PartitionWatch } from "./partition-watch.ts";
import { Protection } from "./protection.ts";
import { Pump } from "./pump.ts";
import type { WorkBench } from "./queue-worker.ts";
import { Recorder } from "./record.ts";
import { Reporter } from "./reporter.ts";
import { Roster } from "./roster.ts";
import type { Run } from "./run.ts";
import { Shedding } from "./shedding.ts";
import { Turns } from "./turns.ts";
import type { Watchdog } from "./watchdog.ts";
import { Workforce } from "./workforce.ts";

/** Shares that all queues of a task move at once: below the SDK's 50 sockets, which polling and pumping use, too. */
const MOVES_AT_ONCE = 24;

export interface WorkerOptions {
  /** Unique for ever: this start of this process. */
  readonly boot: string;
  readonly pool: string;
  /** Jobs that run at once in this task. */
  readonly slots: number;
  readonly registry: Registry;
  readonly store: {
    readonly partitions: PartitionStore;
    readonly tasks: TaskStore;
    readonly parked: ParkedStore;
    readonly buried: BuriedStore;
  };
  readonly broker: Broker;
  readonly watchdog: Watchdog;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly healthPort: number;
  readonly ecs: { readonly arn: string | undefined; readonly agentUri: string | undefined };
  readonly emit: Emit;
  makeLog(run: Run): JobLog;
  /** A peer declared this task dead: the process must end at once, others own its shares. */
  onDead(): void;
}

/**
 * One task: everything a worker process does, wired together.
 *
 * Start: lease first (nothing may be held without one), then the roster, then the rows, which set the queues going.
 * Stop, in this order: peers are told, no new job, running ones end (or are aborted), shares and acks, the connection,
 * the lease.
 */
export class Worker implements Service {
  readonly #options: WorkerOptions;
  readonly #lease: Lease;
  readonly #roster: Roster;
  readonly #watch: PartitionWatch;
  readonly #turns: Turns;
  readonly #workforce: Workforce;
  readonly #evictor: Evictor;
  readonly #health: Health;
  /** Brings work in: the first to stop. */
  readonly #feeders: readonly Service[];
  /** Keeps the task informed and visible while work ends. */
  readonly #attendants: readonly Service[];
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #hurry = new AbortController();

  constructor(options: WorkerOptions) {
    this.#options = options;
    checkTimings(options.timings);
    const { boot, pool, slots, store, broker, clock, timings, emit, ecs } = options;
    this.#turns = new Turns({ slots, clock, mayStart: () => this.#lease.mayStart });
    this.#lease = this.#makeLease();
    this.#roster = new Roster({ boot, tasks: store.tasks, clock, timings, emit, onChange: () => this.#workforce.reconcileAll() });
    this.#watch = new PartitionWatch({
      partitions: store.partitions,
      clock,
      timings,
      emit,
      onChange: (id, row) => this.#workforce.rowChanged(id, row),
      onShardRead: (_, rows) => {
        this.#evictor.inspect(rows).catch((error: unknown) => emit({ type: "trouble", doing: "taking over from dead tasks", error }));
      },
    });
    const recorder = new Recorder({ parked: store.parked, buried: store.buried, clock, emit });
    this.#workforce = new Workforce(this.#makeBench(recorder), this.#turns);
    const { watch, roster, workforce, turns } = { watch: this.#watch, roster: this.#roster, workforce: this.#workforce, turns: this.#turns };
    this.#evictor = new Evictor({ roster, watch, partitions: store.partitions, emit, pauseMs: timings.takeover });
    this.#health = new Health(options.healthPort, () => ({
      ok: this.#lease.mayStart,
      boot,
      draining: this.#lease.draining,
      brokerConnected: broker.connected,
      busy: turns.busy,
      slots,
    }));
    const mayPump = (): boolean => broker.connected && this.#lease.mayStart && !this.#lease.draining;
    const { publisher, admin } = broker;
    this.#feeders = [
      new Pump({ parked: store.parked, publisher, admin, watch, roster, clock, timings, emit, mayPump }),
      new DeadLetters({ recorder, clock, emit, openChannel: (name) => broker.partition(name) }),
    ];
    const brokerConnected = (): boolean => broker.connected;
    this.#attendants = [
      this.#roster,
      this.#watch,
      this.#evictor,
      new Shedding({ turns, workforce, emit, afterMs: timings.shed, servedElsewhere: (partition, queue) => this.#servedElsewhere(partition, queue) }),
      new Reporter({
        boot,
        pool,
        slots,
        arn: ecs.arn,
        tasks: store.tasks,
        admin,
        watch,
        roster,
        workforce,
        turns,
        clock,
        timings,
        emit,
        brokerConnected,
      }),
      new Protection({ agentUri: ecs.agentUri, workforce, clock, emit, longerThanMs: timings.drain }),
      this.#health,
    ];
  }

  /** Resolves once the task holds its lease and knows its partitions; the broker may still be away. */
  start(): Promise<void> {
    this.#starting ??= this.#start();
    return this.#starting;
  }

  async #start(): Promise<void> {
    const { boot, pool, slots, broker, emit } = this.#options;
    await startAll([broker, this.#lease, ...this.#attendants, ...this.#feeders]);
    emit({ type: "ready", boot, pool, slots, healthPort: this.#health.port });
  }

  /** Stops gracefully; called again, it does not wait for running jobs any longer but aborts them. */
  stop(): Promise<void> {
    if (this.#stopping === undefined) this.#stopping = this.#stop();
    else this.#hurry.abort();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { emit, timings, broker } = this.#options;
    // A start that failed has unwound itself; there is nothing left to stop.
    const started = await this.#starting?.then(
      () => true,
      () => false,
    );
    if (started !== true) return;
    emit({ type: "draining" });
    this.#lease.drain();
    this.#workforce.reconcileAll();
    await stopAll(this.#feeders);
    await this.#idleWithin(timings.drain, this.#hurry.signal);
    this.#workforce.abortAll("shutdown");
    await this.#idleWithin(timings.settle);
    await this.#workforce.rested();
    const { holdsNothing } = this.#workforce;
    await this.#workforce.close();
    await stopAll(this.#attendants);
    await broker.stop();
    await this.#lease.end(holdsNothing);
    emit({ type: "drained" });
  }

  async #idleWithin(ms: number, hurry?: AbortSignal): Promise<void> {
    const enough = new AbortController();
    const signal = hurry === undefined ? enough.signal : AbortSignal.any([enough.signal, hurry]);
    // An aborted wait is how the wait ends early.
    await Promise.race([this.#turns.idle(), wait(ms, undefined, { signal }).catch(() => undefined)]);
    enough.abort();
  }

  #makeLease(): Lease {
    const { boot, pool, slots, store, clock, timings, watchdog, emit, onDead } = this.#options;
    return new Lease({
      boot,
      pool,
      slots,
      tasks: store.tasks,
      clock,
      timings,
      watchdog,
      emit,
      free: () => this.#turns.free,
      onRenewed: () => this.#turns.go(),
      onAbort: () => this.#workforce.abortAll("lease_lost"),
      onDead,
    });
  }

  #makeBench(recorder: Recorder): WorkBench {
    const { boot, pool, registry, store, broker, clock, emit, makeLog } = this.#options;
    return {
      boot,
      pool,
      watch: this.#watch,
      partitions: store.partitions,
      moves: new Window(MOVES_AT_ONCE),
      runner: new JobRunner({ boot, registry, recorder, clock, emit }),
      clock,
      emit,
      makeLog,
      openChannel: (partition) => broker.partition(partition),
      target: (row, queue) => this.#target(row, queue),
    };
  }

  #target(row: Partition | undefined, queue: string): number {
    if (row === undefined || this.#lease.draining) return 0;
    return targetShares(row, this.#options.pool, queue, this.#peers()).get(this.#options.boot) ?? 0;
  }

  /** Whether another task that has room is meant to hold a part of the queue: then it loses nothing when we let it go. */
  #servedElsewhere(partition: string, queue: string): boolean {
    const row = this.#watch.get(partition);
    if (row === undefined) return false;
    const peers = this.#peers();
    const targets = targetShares(row, this.#options.pool, queue, peers);
    return peers.some(({ boot, free }) => boot !== this.#options.boot && free > 0 && targets.has(boot));
  }

  /** The living tasks of this pool, this one among them. */
  #peers(): TaskLease[] {
    return this.#roster.live.filter(({ pool }) => pool === this.#options.pool);
  }
}
