import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../core/contract/clock.ts";
import { checkTimings, STOP_PARTS_MS, type Timings } from "../core/contract/limits.ts";
import { type Service, startAll, stopAll, stopTogether } from "../core/contract/service.ts";
import { Window } from "../core/contract/window.ts";
import type { Broker } from "../core/job/broker.ts";
import type { JobLog } from "../core/job/context.ts";
import type { Hooks } from "../core/job/hooks.ts";
import type { Registry } from "../core/job/registry.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { TaskStore } from "../core/partition/task-store.ts";
import { Courier } from "./courier.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { Emit } from "./events.ts";
import { Evictor } from "./evictor.ts";
import { Health } from "./health.ts";
import { Lease } from "./lease.ts";
import { PartitionWatch } from "./partition-watch.ts";
import { PatientPublisher } from "./patient-publisher.ts";
import type { Threads } from "./perform.ts";
import { type JobStores, Pipeline } from "./pipeline.ts";
import { Placement } from "./placement.ts";
import { Protection } from "./protection.ts";
import { Pump } from "./pump.ts";
import type { WorkBench } from "./queue-worker.ts";
import { Reporter } from "./reporter.ts";
import { Roster } from "./roster.ts";
import type { Run } from "./run.ts";
import { Shedding } from "./shedding.ts";
import { doneInTime } from "./stop-step.ts";
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
  readonly hooks: readonly Hooks[];
  readonly threads: Threads & Service;
  readonly store: JobStores & { readonly partitions: PartitionStore; readonly tasks: TaskStore };
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
 * the lease. Each step has its part of the time that ECS gives a stop (limits.ts): a table or a broker that does not answer
 * costs what the step would have given back, which peers then take, and not the steps after it.
 */
export class Worker implements Service {
  readonly #options: WorkerOptions;
  readonly #lease: Lease;
  readonly #roster: Roster;
  readonly #watch: PartitionWatch;
  readonly #turns: Turns;
  readonly #pipeline: Pipeline;
  readonly #placement: Placement;
  readonly #workforce: Workforce;
  readonly #shedding: Shedding;
  readonly #evictor: Evictor;
  readonly #health: Health;
  readonly #pump: Pump;
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
    const { boot, slots, store, broker, clock, timings, emit, ecs } = options;
    this.#turns = new Turns({ slots, clock, mayStart: () => this.#lease.mayStart });
    this.#lease = this.#makeLease();
    this.#roster = new Roster({ boot, tasks: store.tasks, clock, timings, emit, onChange: () => this.#workforce.reconcileAll() });
    this.#watch = new PartitionWatch({
      partitions: store.partitions,
      clock,
      timings,
      emit,
      onChange: (id, row) => {
        this.#pipeline.cancelWatch.rowChanged(id, row);
        this.#workforce.rowChanged(id, row);
      },
      onShardRead: (_, rows) => {
        this.#evictor.inspect(rows).catch((error: unknown) => emit({ type: "trouble", doing: "taking over from dead tasks", error }));
      },
    });
    this.#pipeline = new Pipeline({
      ...options,
      tasks: this.#roster,
      row: (partition) => this.#watch.get(partition),
      running: (partition) => this.#workforce.running(partition),
      pause: (ms) => wait(ms),
      mayStart: () => this.#lease.mayStart,
      giveBackOlderThan: (ms) => this.#workforce.giveBackOlderThan(ms),
      onDue: (job) => this.#pump.hurry(job),
    });
    this.#placement = this.#makePlacement();
    this.#workforce = new Workforce(this.#makeBench(), this.#turns);
    this.#shedding = this.#makeShedding();
    const { recorder, keyring, hooks } = this.#pipeline;
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
    const mayPump = (): boolean => broker.connected && broker.takesMessages && this.#lease.mayStart && !this.#lease.draining;
    const { admin } = broker;
    const publisher = new PatientPublisher({ publisher: broker.publisher, clock, connected: () => broker.connected });
    const courier = new Courier({ ...store, keyring, hooks, publisher, admin, rows: watch, clock, timings, emit });
    this.#pump = new Pump({ parked: store.parked, courier, roster, clock, timings, emit, mayPump });
    this.#feeders = [this.#pump, new DeadLetters({ recorder, keyring, hooks, clock, emit, openChannel: (name) => broker.partition(name) })];
    this.#attendants = [
      this.#roster,
      this.#watch,
      this.#evictor,
      this.#shedding,
      this.#makeReporter(),
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
    await startAll([broker, this.#lease, this.#pipeline, ...this.#attendants, ...this.#feeders]);
    emit({ type: "ready", boot, pool, slots, healthPort: this.#health.port });
  }

  /** Stops gracefully; called again, it does not wait for running jobs any longer but aborts them. */
  stop(): Promise<void> {
    if (this.#stopping === undefined) this.#stopping = this.#stop();
    else this.#hurry.abort();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    const { emit, timings, broker, clock } = this.#options;
    const done = (name: string, ms: number, work: Promise<unknown>): Promise<boolean> => doneInTime({ name, ms, emit }, work);
    const askedAt = clock.monotonic();
    // A start that failed has unwound itself; there is nothing left to stop.
    let failed = false;
    const started = this.#starting?.catch(() => {
      failed = true;
    });
    if (started === undefined) return;
    await done("its start", timings.drain, started);
    if (failed) return;
    emit({ type: "draining" });
    this.#lease.drain();
    this.#workforce.reconcileAll();
    const feedersGone = stopAll(this.#feeders);
    // Waited for below, and may fail before.
    feedersGone.catch(() => undefined);
    // ECS counts from its SIGTERM, whatever the steps before took.
    await this.#idleWithin(timings.drain - (clock.monotonic() - askedAt));
    this.#workforce.abortAll("shutdown");
    await done("its running jobs", timings.settle, this.#turns.idle());
    await Promise.all([done("its shares", timings.hook, this.#workforce.rested()), done("its hooks", timings.hook, this.#pipeline.hooks.rested())]);
    const sharesGone = this.#workforce.holdsNothing;
    const [, published] = await Promise.all([
      done("its channels", STOP_PARTS_MS.channels, this.#workforce.close()),
      done("its publishes", STOP_PARTS_MS.channels, feedersGone),
    ]);
    const services = stopTogether([this.#pipeline, ...this.#attendants]);
    // What is being paid when nobody waits any more still counts as owed; and a pump may have a cancelled job's key in hands.
    const paid = (await done("its services", STOP_PARTS_MS.services, services)) && published && this.#pipeline.owesNothing;
    await done("its connections", STOP_PARTS_MS.connections, broker.stop());
    await done("its lease", STOP_PARTS_MS.lease, this.#lease.end(sharesGone && paid));
    emit({ type: "drained" });
  }

  /** Resolves once nothing runs, the time is up, or somebody is in a hurry. */
  async #idleWithin(ms: number): Promise<void> {
    const enough = Promise.withResolvers<void>();
    const timer = setTimeout(enough.resolve, Math.max(0, ms));
    this.#hurry.signal.addEventListener("abort", () => enough.resolve(), { once: true });
    if (!this.#hurry.signal.aborted) await Promise.race([this.#turns.idle(), enough.promise]);
    clearTimeout(timer);
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
      full: () => this.#shedding.full,
      connected: () => this.#options.broker.connected,
      onRenewed: () => this.#turns.go(),
      onAbort: () => this.#workforce.abortAll("lease_lost"),
      onDead,
    });
  }

  #makeReporter(): Reporter {
    const { store, broker, ecs } = this.#options;
    return new Reporter({
      ...this.#options,
      arn: ecs.arn,
      tasks: store.tasks,
      admin: broker.admin,
      watch: this.#watch,
      roster: this.#roster,
      workforce: this.#workforce,
      turns: this.#turns,
      brokerConnected: () => broker.connected,
    });
  }

  #makeShedding(): Shedding {
    const { store, broker, clock, timings, emit } = this.#options;
    return new Shedding({
      turns: this.#turns,
      workforce: this.#workforce,
      partitions: store.partitions,
      clock,
      emit,
      afterMs: timings.shed,
      announceMs: timings.beat,
      connected: () => broker.connected,
    });
  }

  #makePlacement(): Placement {
    const { boot, pool, broker } = this.#options;
    return new Placement({
      boot,
      pool,
      roster: this.#roster,
      isFull: () => this.#shedding.full || !broker.connected,
      isDraining: () => this.#lease.draining,
    });
  }

  #makeBench(): WorkBench {
    const { boot, pool, store, broker, clock, emit, makeLog } = this.#options;
    return {
      boot,
      pool,
      watch: this.#watch,
      partitions: store.partitions,
      moves: new Window(MOVES_AT_ONCE),
      runner: this.#pipeline.runner,
      clock,
      emit,
      makeLog,
      openChannel: (partition) => broker.partition(partition),
      mayRaise: () => this.#lease.mayStart,
      placement: this.#placement,
      takeBackMs: 2 * this.#options.timings.reread,
    };
  }
}
