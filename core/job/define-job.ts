import type { StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidInput } from "../contract/errors.ts";
import { LIMITS } from "../contract/limits.ts";
import { checkJobName, checkQueue, DEFAULT_QUEUE } from "../contract/names.ts";
import type { JobContext } from "./context.ts";
import type { Json } from "./envelope.ts";
import { type RetryOption, type RetryPolicy, retryPolicy } from "./retry.ts";

/** A job as those who enqueue it know it; see docs/job-lifecycle.md for what each option does to a job's life. */
export interface JobSpecOptions<Schema extends StandardSchemaV1> {
  /** Unique in the registry; it is what envelopes carry. Renaming a job strands the jobs enqueued under the old name. */
  readonly name: string;
  /** Checked in the worker before every run, and by `POST …/jobs` before the job is accepted. Any Standard Schema: zod, valibot, arktype. */
  readonly args: Schema;
  /** The queue, or a function of the args that names it. @default "default" */
  readonly queue?: string | ((args: StandardSchemaV1.InferOutput<Schema>) => string);
  /**
   * At most one job per key and partition, of any name, from its enqueueing until its end: a second one is refused.
   * `undefined` for none. At most 512 bytes.
   */
  readonly queueKey?: (args: StandardSchemaV1.InferOutput<Schema>) => string | undefined;
  /** At most one job per key and partition, of any name, runs at a time; the others wait, oldest first. `undefined` for none. At most 512 bytes. */
  readonly executionKey?: (args: StandardSchemaV1.InferOutput<Schema>) => string | undefined;
  /** What people may see of the args in the API and the CLI: `true` for nothing, or a function that says what. @default false: all */
  readonly redact?: boolean | ((args: Json) => Json);
}

/** What a job's author writes. */
export interface JobOptions<Schema extends StandardSchemaV1> extends JobSpecOptions<Schema> {
  /** @default false: a failed attempt is buried */
  readonly retry?: RetryOption;
  /**
   * Seconds an attempt may run; then `ctx.signal` aborts, and the attempt has failed as soon as the handler has settled.
   * @default none
   */
  readonly maxExecutionTime?: number;
  /**
   * `inline`: in the worker's own thread; limits are cooperative. `thread`: in a worker thread of its own, which is killed when
   * it does not settle within 5 s of an abort; the handler must live in the jobs module.
   * @default "inline"
   */
  readonly isolation?: Isolation;
  /** Runs the job. It must settle soon after `ctx.signal` aborts: until then it keeps its place among the running. */
  perform(args: StandardSchemaV1.InferOutput<Schema>, ctx: JobContext): unknown;
}

export type Isolation = "inline" | "thread";

/** A job that can be enqueued. Total: every option has a value. */
export interface JobSpec<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  readonly name: string;
  readonly args: Schema;
  /** The queue that a job with these args goes to. */
  queueOf(args: StandardSchemaV1.InferOutput<Schema>): string;
  /** @throws InvalidInput when the key is longer than 512 bytes or no text */
  queueKeyOf(args: StandardSchemaV1.InferOutput<Schema>): string | undefined;
  /** @throws as `queueKeyOf` */
  executionKeyOf(args: StandardSchemaV1.InferOutput<Schema>): string | undefined;
  /** The args as people may see them. */
  shown(args: Json): Json;
}

/** A job that can be run, too. */
export interface JobDefinition<Schema extends StandardSchemaV1 = StandardSchemaV1> extends JobSpec<Schema> {
  readonly retry: RetryPolicy;
  /** Milliseconds; `undefined` for no limit. */
  readonly maxExecutionMs: number | undefined;
  readonly isolation: Isolation;
  perform(args: StandardSchemaV1.InferOutput<Schema>, ctx: JobContext): unknown;
}

const SPEC_OPTIONS = ["name", "args", "queue", "queueKey", "executionKey", "redact"] as const;
const OPTIONS = [...SPEC_OPTIONS, "retry", "maxExecutionTime", "isolation", "perform"] as const;

/**
 * Defines what is needed to enqueue a job, for programs that don't carry its handler. `defineJob` takes the same options.
 * @throws InvalidInput or TypeError, at import time, naming the option that is wrong
 */
export function jobSpec<Schema extends StandardSchemaV1>(options: JobSpecOptions<Schema>): JobSpec<Schema> {
  checkOptions("jobSpec", options, SPEC_OPTIONS);
  return specOf(options);
}

/**
 * Defines a job. Register it by exporting it from `jobs/index.ts`.
 * @throws InvalidInput or TypeError, at import time, naming the option that is wrong
 */
export function defineJob<Schema extends StandardSchemaV1>(options: JobOptions<Schema>): JobDefinition<Schema> {
  checkOptions("defineJob", options, OPTIONS);
  const spec = specOf(options);
  const { perform, isolation = "inline", maxExecutionTime } = options;
  if (typeof perform !== "function") throw new TypeError(`job ${spec.name}: perform must be a function`);
  if (isolation !== "inline" && isolation !== "thread") throw new TypeError(`job ${spec.name}: isolation is "inline" or "thread"`);
  if (maxExecutionTime !== undefined && !isExecutionTime(maxExecutionTime)) {
    throw new TypeError(`job ${spec.name}: maxExecutionTime is a number of seconds, above 0 and at most ${LIMITS.maxExecutionMs / 1000}`);
  }
  return {
    ...spec,
    retry: retryOf(spec.name, options.retry ?? false),
    maxExecutionMs: maxExecutionTime === undefined ? undefined : maxExecutionTime * 1000,
    isolation,
    perform: (args, ctx) => perform.call(options, args, ctx),
  };
}

function isExecutionTime(seconds: unknown): boolean {
  return typeof seconds === "number" && seconds > 0 && seconds * 1000 <= LIMITS.maxExecutionMs;
}

function retryOf(name: string, option: RetryOption): RetryPolicy {
  try {
    return retryPolicy(option);
  } catch (cause) {
    throw new TypeError(`job ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function checkOptions(caller: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw new TypeError(`${caller}: give it an object of options`);
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw new TypeError(`${caller}: unknown option "${key}"; there are ${known.join(", ")}`);
  }
}

function specOf<Schema extends StandardSchemaV1>(options: JobSpecOptions<Schema>): JobSpec<Schema> {
  const name = checkJobName(options.name, "a job's name");
  if (typeof options.args?.["~standard"]?.validate !== "function")
    throw new TypeError(`job ${name}: args must be a Standard Schema, such as z.object({ … })`);
  const { queue = DEFAULT_QUEUE, queueKey, executionKey, redact = false } = options;
  if (typeof queue !== "function") checkQueue(queue, `job ${name}: queue`);
  if (queueKey !== undefined && typeof queueKey !== "function") throw new TypeError(`job ${name}: queueKey must be a function of the args`);
  if (executionKey !== undefined && typeof executionKey !== "function")
    throw new TypeError(`job ${name}: executionKey must be a function of the args`);
  if (typeof redact !== "boolean" && typeof redact !== "function")
    throw new TypeError(`job ${name}: redact must be true, false or a function of the args`);
  return {
    name,
    args: options.args,
    queueOf: (args) => (typeof queue === "string" ? queue : checkQueue(queue(args), `job ${name}: queue`)),
    queueKeyOf: (args) => checkKey(queueKey?.(args), `job ${name}: queueKey`),
    executionKeyOf: (args) => checkKey(executionKey?.(args), `job ${name}: executionKey`),
    shown: (args) => (typeof redact === "function" ? redact(args) : redact ? "redacted" : args),
  };
}

function checkKey(key: string | undefined, field: string): string | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== "string" || key === "") throw new InvalidInput(field, "must give a text that is not empty, or undefined for none");
  if (Buffer.byteLength(key) > LIMITS.keyBytes) throw new InvalidInput(field, `${Buffer.byteLength(key)} bytes; the limit is ${LIMITS.keyBytes}`);
  return key;
}

/** What a Standard Schema said of a value. */
export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/**
 * Checks args against a definition's schema, with the first few problems in words.
 * A schema that answers at once costs no promise.
 */
export function checkArgs(definition: Pick<JobSpec, "args">, args: unknown): Checked<unknown> | Promise<Checked<unknown>> {
  const result = definition.args["~standard"].validate(args);
  return result instanceof Promise ? result.then(toChecked) : toChecked(result);
}

function toChecked(result: StandardSchemaV1.Result<unknown>): Checked<unknown> {
  if (result.issues === undefined) return { ok: true, value: result.value };
  const problem = result.issues
    .slice(0, 5)
    .map(({ path, message }) => {
      const where = (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
      return where === "" ? `args: ${message}` : `args.${where}: ${message}`;
    })
    .join("; ");
  return { ok: false, problem };
}
