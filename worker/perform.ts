import type { Clock } from "../core/contract/clock.ts";
import { checkArgs, type JobDefinition } from "../core/job/define-job.ts";
import type { Envelope } from "../core/job/envelope.ts";
import type { Emit } from "./events.ts";
import { refOf } from "./record.ts";
import type { Run } from "./run.ts";

/** Runs a job's handler in a worker thread of its own, which can be killed. */
export interface Threads {
  /**
   * Ends only when the handler has settled, or its thread is dead to the last instruction.
   * @param args as enqueued: the thread checks them again by itself, since what a schema makes of them need not be copyable
   * @param graceMs after the run's abort, what the handler gets to settle in before its thread is killed
   * @param onStarted the handler begins now: a thread takes a moment to come up, which is not the job's
   * @throws what equals the thing that the handler threw; an Error named `ThreadKilled` or `ThreadDied` when it never settled
   */
  perform(run: Run, name: string, args: unknown, graceMs: number, onStarted: () => void): Promise<unknown>;
}

export interface PerformOptions {
  readonly threads: Threads;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly graceMs: number;
}

/** A thread has to be up, with the jobs module imported, after this long; else the job's limit counts from then. */
const THREAD_START_MS = 60_000;

export type Performed = { readonly ok: true } | { readonly ok: false; readonly error: unknown } | { readonly invalidArgs: string };

/**
 * Runs the handler until it has settled, or its thread is dead. Whatever it throws is its result, never ours.
 *
 * A job without a limit of its own gets no timer. One with a limit, counted from the begin of its handler, is aborted when it is over; inline, the handler may
 * ignore that: it is then reported as stuck, and honestly keeps its slot and share until it settles. A thread that ignores it
 * is killed; only one that sits in native code may outlive that, and is reported, too.
 */
export async function perform(options: PerformOptions, definition: JobDefinition, envelope: Envelope, run: Run): Promise<Performed> {
  try {
    const checking = checkArgs(definition, envelope.args);
    const args = checking instanceof Promise ? await checking : checking;
    if (!args.ok) return { invalidArgs: args.problem };
    if (run.aborted !== undefined) return { ok: false, error: run.signal.reason };
    run.performing = true;
    if (definition.maxExecutionMs === undefined && definition.isolation === "inline") await definition.perform(args.value, run);
    else await watched(options, definition, definition.isolation === "thread" ? envelope.args : args.value, run);
    return { ok: true };
  } catch (error) {
    return { ok: false, error };
  } finally {
    run.performing = false;
    // It would overwrite what is recorded next.
    if (run.moving !== undefined) await run.moving;
  }
}

async function watched({ threads, clock, emit, graceMs }: PerformOptions, definition: JobDefinition, args: unknown, run: Run): Promise<void> {
  const inThread = definition.isolation === "thread";
  const { maxExecutionMs } = definition;
  let limit: NodeJS.Timeout | undefined;
  let stuck: NodeJS.Timeout | undefined;
  const limitTo = (ms: number): void => {
    clearTimeout(limit);
    limit = setTimeout(() => run.abort("timed_out"), ms);
  };
  const stuckAfterMs = inThread ? 2 * graceMs : graceMs;
  const onAbort = (): void => {
    stuck = setTimeout(() => {
      run.stuckSince = clock.now();
      if (run.envelope !== undefined) emit({ type: "job_stuck", job: refOf(run.envelope), why: run.aborted ?? "timed_out" });
    }, stuckAfterMs);
  };
  if (maxExecutionMs !== undefined) limitTo(inThread ? maxExecutionMs + THREAD_START_MS : maxExecutionMs);
  const onStarted = (): void => {
    if (maxExecutionMs !== undefined) limitTo(maxExecutionMs);
  };
  run.signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (inThread) await threads.perform(run, definition.name, args, graceMs, onStarted);
    else await definition.perform(args, run);
  } finally {
    run.signal.removeEventListener("abort", onAbort);
    clearTimeout(limit);
    clearTimeout(stuck);
  }
}
