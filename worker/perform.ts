import { checkArgs, type JobDefinition } from "../core/job/define-job.ts";
import type { Envelope } from "../core/job/envelope.ts";
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
  readonly graceMs: number;
}

/** A thread has to be up, with the jobs module imported, after this long; else the job's limit counts from then. */
const THREAD_START_MS = 60_000;

export type Performed = { readonly ok: true } | { readonly ok: false; readonly error: unknown } | { readonly invalidArgs: string };

/**
 * Runs the handler until it has settled, or its thread is dead. Whatever it throws is its result, never ours.
 *
 * A job without a limit of its own gets no timer. One with a limit, counted from the begin of its handler, is aborted when
 * it is over; inline, the handler may ignore that, and keeps its slot and share until it settles (stuck-runs.ts reports it).
 * A thread that ignores it is killed.
 */
export async function perform(options: PerformOptions, definition: JobDefinition, envelope: Envelope, run: Run): Promise<Performed> {
  try {
    const checking = checkArgs(definition, envelope.args);
    const args = checking instanceof Promise ? await checking : checking;
    if (!args.ok) return { invalidArgs: args.problem };
    if (run.aborted !== undefined) return { ok: false, error: run.signal.reason };
    run.performing = true;
    if (definition.isolation === "thread") await performInThread(options, definition, envelope.args, run);
    else if (definition.maxExecutionMs === undefined) await definition.perform(args.value, run);
    else await limited(definition, args.value, run, definition.maxExecutionMs);
    return { ok: true };
  } catch (error) {
    return { ok: false, error };
  } finally {
    run.performing = false;
    // It would overwrite what is recorded next.
    if (run.moving !== undefined) await run.moving;
  }
}

async function limited(definition: JobDefinition, args: unknown, run: Run, maxExecutionMs: number): Promise<void> {
  const limit = setTimeout(() => run.abort("timed_out"), maxExecutionMs);
  try {
    await definition.perform(args, run);
  } finally {
    clearTimeout(limit);
  }
}

async function performInThread(
  { threads, graceMs }: PerformOptions,
  { name, maxExecutionMs }: JobDefinition,
  args: unknown,
  run: Run,
): Promise<void> {
  let limit: NodeJS.Timeout | undefined;
  const limitTo = (ms: number): void => {
    clearTimeout(limit);
    limit = setTimeout(() => run.abort("timed_out"), ms);
  };
  if (maxExecutionMs !== undefined) limitTo(maxExecutionMs + THREAD_START_MS);
  const onStarted = (): void => {
    if (maxExecutionMs !== undefined) limitTo(maxExecutionMs);
  };
  try {
    await threads.perform(run, name, args, graceMs, onStarted);
  } finally {
    clearTimeout(limit);
  }
}
