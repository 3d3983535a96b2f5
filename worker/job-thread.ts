import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { systemClock } from "../core/contract/clock.ts";
import { type AbortCode, RunAborted } from "../core/job/abort.ts";
import type { JobContext, JobInfo, JobLog } from "../core/job/context.ts";
import { checkArgs } from "../core/job/define-job.ts";
import { type Registry, registryOf } from "../core/job/registry.ts";
import { importJobs } from "./jobs-module.ts";
import { type Packed, packThrown } from "./thrown.ts";

/** The whole life of a job thread: it is told the jobs module once, and then one task at a time. */
export interface ThreadData {
  readonly jobs: string;
}

export interface ThreadTask {
  readonly name: string;
  /** As enqueued: what a schema makes of them, a class instance say, would not pass from thread to thread. */
  readonly args: unknown;
  readonly job: JobInfo;
  readonly attempt: number;
  readonly token: number | undefined;
  /** The run's own line to the main thread. It closes when this thread ends, however that happens. */
  readonly port: MessagePort;
  /** One `Int32`: lines that the main thread has not taken from the port yet. */
  readonly untaken: SharedArrayBuffer;
}

export type LogLevel = keyof JobLog;

/** What a thread tells over a run's port. `broken`: the jobs module can't be imported here; the thread ends. */
export type FromThread =
  | { readonly log: LogLevel; readonly message: string; readonly fields: Record<string, unknown> | undefined }
  | { readonly progress: number }
  | { readonly started: true }
  | { readonly broken: Packed };

/** What it is told there. */
export interface ToThread {
  readonly abort: AbortCode;
}

/** What a thread tells that runs no job. */
export interface ThreadTrouble {
  readonly doing: string;
  readonly thrown: Packed;
}

/** Its answer to a task. */
export type Answer = { readonly thrown: Packed } | undefined;

/** A handler that logs faster than the main thread reads waits for it: memory has a bound. */
const MAX_UNTAKEN = 1_000;
const PROGRESS_PAUSE_MS = 100;

let registry: Promise<Registry> | undefined;
let current: ThreadContext | undefined;

// As in the process's main thread: a promise that a handler left behind must not end the thread, and with it another's run.
process.on("unhandledRejection", (error) => {
  const doing = "running a promise that nobody awaited";
  if (current === undefined) parentPort?.postMessage({ doing, thrown: packThrown(error) } satisfies ThreadTrouble);
  else current.log.warn(doing, { error });
});

/** Runs one attempt. What the handler throws is its answer: it never rejects, so that a rejection always means a dead thread. */
export async function runInThread(task: ThreadTask): Promise<Answer> {
  const context = new ThreadContext(task);
  current = context;
  try {
    const definition = (await jobs(task.port)).get(task.name);
    if (definition === undefined) throw new Error(`the jobs module has no job "${task.name}" when a thread imports it`);
    const args = await checkArgs(definition, task.args);
    if (!args.ok) throw new Error(args.problem);
    // What has not begun must not begin.
    context.begin();
    await definition.perform(args.value, context);
    return undefined;
  } catch (error) {
    return { thrown: packThrown(error) };
  } finally {
    current = undefined;
    context.end();
  }
}

async function jobs(port: MessagePort): Promise<Registry> {
  try {
    registry ??= importJobs((workerData as ThreadData).jobs).then(registryOf);
    return await registry;
  } catch (error) {
    // A module that failed to load stays failed in this thread; the next one may have more luck.
    port.postMessage({ broken: packThrown(error) } satisfies FromThread);
    process.exit(1);
  }
}

/** A run's context, whose other half is in the main thread. */
class ThreadContext implements JobContext {
  readonly job: JobInfo;
  readonly attempt: number;
  readonly token: number | undefined;
  readonly log: JobLog;
  readonly #port: MessagePort;
  readonly #untaken: Int32Array;
  readonly #controller = new AbortController();
  #progress: number | undefined;
  #progressTimer: NodeJS.Timeout | undefined;
  #progressToldAt = Number.NEGATIVE_INFINITY;
  #ended = false;

  constructor({ job, attempt, token, port, untaken }: ThreadTask) {
    this.job = job;
    this.attempt = attempt;
    this.token = token;
    this.#port = port;
    this.#untaken = new Int32Array(untaken);
    const level = (log: LogLevel) => (message: string, fields?: Record<string, unknown>) => this.#write(log, message, fields);
    this.log = { debug: level("debug"), info: level("info"), warn: level("warn"), error: level("error") };
    port.on("message", (message: ToThread) => this.#hear(message));
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** @throws the reason, when the run is aborted already: an event would tell that only after the handler's first `await` */
  begin(): void {
    for (let next = receiveMessageOnPort(this.#port); next !== undefined; next = receiveMessageOnPort(this.#port))
      this.#hear(next.message as ToThread);
    this.signal.throwIfAborted();
    this.#tell({ started: true });
  }

  /** Told at most ten times a second, however often a loop calls it; the last value is told in any case. */
  progress(fraction: number): void {
    this.#progress = fraction;
    const wait = this.#progressToldAt + PROGRESS_PAUSE_MS - systemClock.monotonic();
    if (wait <= 0) this.#tellProgress();
    else this.#progressTimer ??= setTimeout(() => this.#tellProgress(), wait);
  }

  /** What a promise that was left behind says from now on reaches nobody. */
  end(): void {
    if (this.#progressTimer !== undefined) this.#tellProgress();
    this.#ended = true;
  }

  #hear({ abort }: ToThread): void {
    this.#controller.abort(new RunAborted(abort));
  }

  #tellProgress(): void {
    clearTimeout(this.#progressTimer);
    this.#progressTimer = undefined;
    if (this.#progress === undefined) return;
    this.#progressToldAt = systemClock.monotonic();
    this.#tell({ progress: this.#progress });
  }

  #write(log: LogLevel, message: string, fields: Record<string, unknown> | undefined): void {
    try {
      this.#tell({ log, message, fields });
    } catch {
      // A field that can't be copied, a function say, must not be the handler's problem: logs are JSON in the end.
      this.#tell({ log, message, fields: asJson(fields) });
    }
  }

  #tell(message: FromThread): void {
    if (this.#ended) return;
    for (let untaken = Atomics.load(this.#untaken, 0); untaken >= MAX_UNTAKEN; untaken = Atomics.load(this.#untaken, 0)) {
      Atomics.wait(this.#untaken, 0, untaken);
    }
    this.#port.postMessage(message);
    Atomics.add(this.#untaken, 0, 1);
  }
}

function asJson(fields: Record<string, unknown> | undefined): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(fields) ?? "{}") as Record<string, unknown>;
  } catch (error) {
    return { fields: `can't be logged: ${error instanceof Error ? error.message : String(error)}` };
  }
}
