import type { Clock } from "../core/contract/clock.ts";
import type { Timings } from "../core/contract/limits.ts";
import { brokerQueue, queueKey } from "../core/contract/names.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { forEachWithin } from "../core/contract/window.ts";
import type { QueueAdmin } from "../core/job/broker.ts";
import { attemptOf } from "../core/job/envelope.ts";
import { runId } from "../core/keys/runs.ts";
import type { QueueReport, RunningJob, TaskReport, TaskStore } from "../core/partition/task-store.ts";
import type { Emit } from "./events.ts";
import type { PartitionWatch } from "./partition-watch.ts";
import type { Roster } from "./roster.ts";
import type { Turns } from "./turns.ts";
import type { Workforce } from "./workforce.ts";

export interface ReporterOptions {
  readonly boot: string;
  readonly pool: string;
  readonly slots: number;
  readonly arn: string | undefined;
  readonly tasks: TaskStore;
  readonly admin: Pick<QueueAdmin, "depth">;
  readonly watch: PartitionWatch;
  readonly roster: Roster;
  readonly workforce: Workforce;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  brokerConnected(): boolean;
}

/** Running jobs that a report lists; a report must stay a small item. */
const LISTED_JOBS = 100;
const LISTED_QUEUES = 1_000;
const DEPTH_WIDTH = 8;

/** Tells, at most every 15 s, what runs here and how long the queues are that fall to this task to count. */
export class Reporter implements Service {
  readonly #options: ReporterOptions;
  readonly #ticker: Ticker;
  readonly #startedAt: number;

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
    this.#ticker = new Ticker({
      pauseMs: options.timings.report,
      round: async () => options.tasks.report(await this.#report()),
      onError: (error) => options.emit({ type: "trouble", doing: "reporting", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async #report(): Promise<TaskReport> {
    const { boot, pool, slots, arn, watch, workforce, turns, clock, roster, brokerConnected } = this.#options;
    // Taken first, and told once every queue has followed: whoever reads the counters may rely on what they say.
    const shards = [...watch.applied];
    await workforce.rested();
    const depths = await this.#depths();
    const running = this.#running();
    return {
      boot,
      pool,
      slots,
      at: clock.now(),
      startedAt: this.#startedAt,
      ...(arn === undefined ? {} : { arn }),
      busy: turns.busy,
      memoryBytes: process.memoryUsage.rss(),
      shards,
      queues: this.#queues(depths).slice(0, LISTED_QUEUES),
      counted: brokerConnected() || roster.othersConnected(pool),
      running: running.slice(0, LISTED_JOBS),
      runningLeftOut: Math.max(0, running.length - LISTED_JOBS),
    };
  }

  /** Broker queue -> messages ready or "unknown", for the queues of this pool that fall to this task to count. Empty ones are left out. */
  async #depths(): Promise<Map<string, number | "unknown">> {
    const { admin, brokerConnected, clock, timings, emit } = this.#options;
    const depths = new Map<string, number | "unknown">();
    // Peers with RabbitMQ count what fell to us, as soon as they have heard that we have lost it.
    if (!brokerConnected()) return depths;
    const end = clock.monotonic() + timings.report;
    let failure: unknown;
    await forEachWithin(DEPTH_WIDTH, this.#mine(), async (name) => {
      try {
        // A queue without a majority answers at its deadline only: the report must not wait for hundreds of them.
        const ready = clock.monotonic() > end ? "unknown" : await admin.depth(name);
        if (ready !== undefined && ready !== 0) depths.set(name, ready);
      } catch (error) {
        failure ??= error;
        depths.set(name, "unknown");
      }
    });
    if (failure !== undefined) emit({ type: "trouble", doing: "counting messages", error: failure });
    return depths;
  }

  *#mine(): Generator<string> {
    const { watch, pool, roster } = this.#options;
    for (const row of watch.all()) {
      if (row.status === "deleted") continue;
      for (const queue of Object.keys(row.pools[pool] ?? {})) {
        const name = brokerQueue(row.id, queue);
        if (roster.owns(`count/${name}`, { pool, connected: true })) yield name;
      }
    }
  }

  #queues(depths: ReadonlyMap<string, number | "unknown">): QueueReport[] {
    const { pool, workforce, watch } = this.#options;
    const reports = new Map<string, QueueReport>();
    for (const { partition, worker } of workforce.queues()) {
      const running = worker.intake.running.size;
      if (running === 0) continue;
      reports.set(brokerQueue(partition, worker.queue), { partition, key: queueKey(pool, worker.queue), share: worker.share, running });
    }
    for (const row of watch.all()) {
      for (const queue of Object.keys(row.pools[pool] ?? {})) {
        const name = brokerQueue(row.id, queue);
        const ready = depths.get(name);
        if (ready === undefined) continue;
        const share = workforce.partitions.get(row.id)?.queues.get(queue)?.share ?? 0;
        const count = ready === "unknown" ? { uncounted: true as const } : { ready };
        reports.set(name, { partition: row.id, key: queueKey(pool, queue), share, running: 0, ...reports.get(name), ...count });
      }
    }
    return [...reports.values()];
  }

  #running(): RunningJob[] {
    const { boot, workforce } = this.#options;
    const jobs: RunningJob[] = [];
    for (const { worker } of workforce.queues()) {
      for (const run of worker.intake.running) {
        const { envelope, startedAt, progressed, stuckSince, token } = run;
        if (envelope === undefined) continue;
        const { id, name, partition, queue, enqueued_at: enqueuedAt } = envelope;
        jobs.push({
          id,
          name,
          partition,
          queue,
          attempt: attemptOf(envelope),
          startedAt,
          run: runId(boot, run),
          stage: { enqueuedAt, attempt: envelope.attempt },
          ...(progressed === undefined ? {} : { progress: progressed }),
          ...(stuckSince === undefined ? {} : { stuckSince }),
          ...(token === undefined ? {} : { token }),
        });
      }
    }
    return jobs;
  }
}
