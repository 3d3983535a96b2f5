import type { ResourceLimits } from "node:worker_threads";
import { Piscina } from "piscina";
import { describeError } from "../core/contract/errors.ts";
import type { Service } from "../core/contract/service.ts";
import { Window } from "../core/contract/window.ts";
import type { AbortCode } from "../core/job/abort.ts";
import type { Emit } from "./events.ts";
import type { Answer, ThreadData, ThreadTask, ThreadTrouble } from "./job-thread.ts";
import type { Threads } from "./perform.ts";
import type { Run } from "./run.ts";
import { ThreadLine } from "./thread-line.ts";
import { unpackThrown } from "./thrown.ts";

export interface JobThreadsOptions {
  /** An idle thread ends after this long, in ms. @default 60_000 */
  readonly idleMs?: number;
  /** Of each thread; a thread that outgrows its heap ends, its process does not. @default Node's own, which go by the machine's memory */
  readonly resourceLimits?: ResourceLimits;
  /** Told what fails in a thread while it runs no job. @default nobody is told */
  readonly emit?: Emit;
}

/** The handler had not settled in time after its run was aborted. */
export class ThreadKilled extends Error {
  constructor(why: AbortCode, graceMs: number) {
    super(`its thread was killed: it had not settled ${graceMs / 1000} s after its abort (${why.replaceAll("_", " ")})`);
    this.name = "ThreadKilled";
  }
}

/** The thread ended by itself: the handler called `process.exit`, ran out of memory, or threw where nobody could catch it. */
export class ThreadDied extends Error {
  constructor(cause: unknown) {
    super(`its thread ended before it had settled: ${describeError(cause).message}`, { cause });
    this.name = "ThreadDied";
  }
}

interface Performance {
  readonly name: string;
  readonly args: unknown;
  readonly graceMs: number;
  readonly onStarted: () => void;
  /** Its reason is what the run then fails with. */
  readonly kill: AbortController;
}

/**
 * Runs handlers in worker threads: one job per thread at a time, at most one thread per slot, none before the first such
 * job, none long after the last.
 *
 * Each run has a port of its own to its thread. Aborts go in, log lines and progress come out, and its closing is the one
 * sure sign that the thread is dead: a run that did not end in order ends only then, never while its handler could still act.
 *
 * ```
 *   perform ──▶ running ──▶ answered ─────────────────────────▶ returns, or throws what the handler threw
 *                  │ abort ──▶ grace ──▶ answered ────────────▶ the same
 *                  │             └─ graceMs ──▶ killed ──▶ port closed ──▶ throws ThreadKilled
 *                  └─ thread ends by itself ──▶ port closed ─────────────▶ throws ThreadDied
 * ```
 */
export class JobThreads implements Threads, Service {
  readonly #pool: Piscina<ThreadTask, Answer>;
  readonly #places: Window;
  readonly #emit: Emit;
  readonly #underWay = new Map<Promise<unknown>, AbortController>();

  /** @param jobsModule `#jobs` or a path, as in worker/main.ts */
  constructor(jobsModule: string, slots: number, { idleMs = 60_000, resourceLimits, emit = () => undefined }: JobThreadsOptions = {}) {
    this.#places = new Window(slots);
    this.#emit = emit;
    this.#pool = new Piscina({
      // Named here and not per task: a file that can't be loaded then ends its thread, instead of leaving one that runs nothing.
      filename: new URL("./job-thread.ts", import.meta.url).href,
      name: "runInThread",
      workerData: { jobs: jobsModule } satisfies ThreadData,
      minThreads: 0,
      maxThreads: slots,
      idleTimeout: idleMs,
      concurrentTasksPerWorker: 1,
      recordTiming: false,
      // An idle thread that sleeps in `Atomics.wait` would freeze whatever a handler left behind, and its end.
      atomics: "disabled",
      ...(resourceLimits === undefined ? {} : { resourceLimits }),
    });
    this.#pool.on("error", (error) => this.#onIdleError(error));
    this.#pool.on("message", ({ doing, thrown }: ThreadTrouble) => emit({ type: "trouble", doing, error: unpackThrown(thrown) }));
  }

  /** Threads alive. */
  get size(): number {
    return this.#pool.threads.length;
  }

  async start(): Promise<void> {}

  /** Resolves once no thread is left; runs under way end as killed. */
  async stop(): Promise<void> {
    const ending = [...this.#underWay.keys()];
    for (const kill of this.#underWay.values()) kill.abort(new ThreadKilled("shutdown", 0));
    await this.#pool.destroy();
    await Promise.allSettled(ending);
  }

  async perform(run: Run, name: string, args: unknown, graceMs: number, onStarted: () => void = () => undefined): Promise<void> {
    const kill = new AbortController();
    const performing = this.#places.run(() => this.#perform(run, { name, args, graceMs, onStarted, kill }));
    this.#underWay.set(performing, kill);
    try {
      await performing;
    } finally {
      this.#underWay.delete(performing);
    }
  }

  async #perform(run: Run, { name, args, graceMs, onStarted, kill }: Performance): Promise<void> {
    run.signal.throwIfAborted();
    kill.signal.throwIfAborted();
    const onOverdue = (): void => kill.abort(new ThreadKilled(run.aborted ?? "shutdown", graceMs));
    const line = new ThreadLine(run, { graceMs, onOverdue, onStarted });
    const { port, untaken } = line.farEnd;
    const task = { name, args, job: run.job, attempt: run.attempt, token: run.token, port, untaken };
    let answer: Answer;
    try {
      answer = await this.#pool.run(task, { transferList: [port], signal: kill.signal });
    } catch (error) {
      await line.threadDead();
      if (kill.signal.aborted) throw kill.signal.reason;
      throw line.broken === undefined ? new ThreadDied(error) : unpackThrown(line.broken);
    }
    line.close();
    if (answer !== undefined) throw unpackThrown(answer.thrown);
  }

  /** A thread ended while it ran no job. If it had not even begun its first, and no other is there, nobody would ever take that job. */
  #onIdleError(error: unknown): void {
    this.#emit({ type: "trouble", doing: "keeping a job thread", error });
    if (this.size > 0) return;
    for (const kill of this.#underWay.values()) kill.abort(new ThreadDied(error));
  }
}
