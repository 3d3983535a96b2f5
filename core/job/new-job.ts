import { describeError, InvalidInput } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import { checkJobId, checkPartition } from "../contract/names.ts";
import { type Checked, checkArgs, type JobSpec } from "./define-job.ts";
import type { NewJobKey } from "./enqueue.ts";
import type { Envelope, Json } from "./envelope.ts";
import { newJobId } from "./id.ts";
import { ownIdKey } from "./own-id.ts";
import { type NewParkedJob, parkedJob } from "./parked.ts";

/** How a job is enqueued, beside its spec and its args. */
export interface NewJobOptions {
  readonly partition: string;
  /** An id of the caller's: an idempotency key, accepted once while it is remembered. @default a new UUID version 7 */
  readonly id?: string;
  /** Seconds to wait, at most ten years. */
  readonly delay?: number;
  /** When to run it, at most ten years away; a time that has passed is now. Not together with `delay`. */
  readonly runAt?: Date;
  /** W3C Trace Context; one that is not of that form is ignored, as it asks for. */
  readonly traceparent?: string;
}

/** A job that is ready to be accepted (core/job/enqueue.ts). */
export interface NewJob {
  /** `reason` is `delayed`, or `outbox` for one that is due. */
  readonly job: NewParkedJob;
  /** Absent: it has no queue key. */
  readonly key: NewJobKey | undefined;
  /** As the envelope has it. */
  readonly traceparent: string | undefined;
}

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/**
 * Makes a job of a spec and args, whoever enqueues it: checks the args, asks the spec for queue and keys, and writes the
 * envelope. Pure but for the id; whether the partition has the queue is the caller's to know.
 * @returns a promise only if the schema gives one
 * @throws InvalidInput naming `partition`, `id`, `delay`, `runAt`, `args` or `args.<path>`
 */
export function newJob(spec: JobSpec, args: Json, options: NewJobOptions, now: number): NewJob | Promise<NewJob> {
  checkPartition(options.partition);
  if (options.id !== undefined) checkJobId(options.id, "id");
  const due = dueOf(options, now);
  const checked = askSchema(spec, args);
  const make = (answer: Checked<unknown>): NewJob => makeJob(spec, args, parsedArgs(answer), { ...options, due, now });
  return checked instanceof Promise ? checked.then(make) : make(checked);
}

function makeJob(spec: JobSpec, args: Json, parsed: unknown, at: NewJobOptions & { readonly due: number; readonly now: number }): NewJob {
  const { partition, id = newJobId(), due, now } = at;
  const { name } = spec;
  const traceparent = at.traceparent !== undefined && TRACEPARENT.test(at.traceparent) ? at.traceparent : undefined;
  const queue = asked("queue", () => spec.queueOf(parsed));
  const queueKey = queueKeyOf(spec, parsed, at.id);
  const executionKey = asked("executionKey", () => spec.executionKeyOf(parsed));
  const envelope: Envelope = {
    v: 1,
    id,
    name,
    // As the caller wrote them: the worker's schema parses them once more, and a parsed value may not parse again.
    args,
    partition,
    queue,
    ...(queueKey === undefined ? {} : { queue_key: queueKey }),
    ...(executionKey === undefined ? {} : { execution_key: executionKey }),
    attempt: 1,
    enqueued_at: now,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
  const reason = due > now ? "delayed" : "outbox";
  return {
    job: parkedJob(envelope, { reason, due, since: now }),
    key: queueKey === undefined ? undefined : { ref: { partition, key: queueKey }, takeDone: at.id === undefined },
    traceparent,
  };
}

/** A caller's own id is a queue key, and a job has one. */
function queueKeyOf(spec: JobSpec, parsed: unknown, id: string | undefined): string | undefined {
  const queueKey = asked("queueKey", () => spec.queueKeyOf(parsed));
  if (id === undefined) return queueKey;
  if (queueKey === undefined) return ownIdKey(id);
  throw new InvalidInput("id", `job ${spec.name} has a queueKey, which keeps it from being enqueued twice already: leave the id out`);
}

/** A schema may throw, or reject, where it should refuse: `z.string().transform((text) => new URL(text))`. */
function askSchema(spec: JobSpec, args: Json): Checked<unknown> | Promise<Checked<unknown>> {
  const failed = (error: unknown): never => {
    throw new InvalidInput("args", `the job's schema fails on them (${describeError(error).message})`);
  };
  try {
    const checked = checkArgs(spec, args);
    return checked instanceof Promise ? checked.catch(failed) : checked;
  } catch (error) {
    return failed(error);
  }
}

/** What a spec's own function says of args that its schema took. Whatever it throws, other args are what helps. */
function asked<T>(option: string, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    throw new InvalidInput("args", `the job's ${option} can't be told from them (${describeError(error).message})`);
  }
}

/** `checkArgs` says `args.path: …; args.other: …`: the first is the field. */
function parsedArgs(checked: Checked<unknown>): unknown {
  if (checked.ok) return checked.value;
  const seam = checked.problem.indexOf(": ");
  throw new InvalidInput(checked.problem.slice(0, seam), checked.problem.slice(seam + 2));
}

/** Epoch ms. */
function dueOf({ delay, runAt }: NewJobOptions, now: number): number {
  if (delay !== undefined && runAt !== undefined) throw new InvalidInput("runAt", "give a delay or a time, not both");
  if (delay !== undefined) {
    if (!(typeof delay === "number" && delay >= 0 && delay * 1000 <= LIMITS.delayMs))
      throw new InvalidInput("delay", "must be a number of seconds from 0 to ten years");
    return now + Math.round(delay * 1000);
  }
  if (runAt === undefined) return now;
  if (!(runAt instanceof Date && runAt.getTime() <= now + LIMITS.delayMs)) throw new InvalidInput("runAt", "must be a time, at most ten years away");
  return Math.max(now, runAt.getTime());
}
