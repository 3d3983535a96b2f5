import type { StandardSchemaV1 } from "@standard-schema/spec";
import { checkJobName, checkQueue, DEFAULT_QUEUE } from "../contract/names.ts";
import type { JobContext } from "./context.ts";
import { type RetryOption, type RetryPolicy, retryPolicy } from "./retry.ts";

/** What a job's author writes; see docs/job-lifecycle.md for what each option does to a job's life. */
export interface JobOptions<Schema extends StandardSchemaV1> {
  /** Unique in the registry; it is what envelopes carry. Renaming a job strands the jobs enqueued under the old name. */
  readonly name: string;
  /** Checked in the worker before every run, and by `POST …/jobs` before the job is accepted. Any Standard Schema: zod, valibot, arktype. */
  readonly args: Schema;
  /** The queue, or a function of the args that names it. @default "default" */
  readonly queue?: string | ((args: StandardSchemaV1.InferOutput<Schema>) => string);
  /** @default false: a failed attempt is buried */
  readonly retry?: RetryOption;
  /** Runs the job. It must settle soon after `ctx.signal` aborts: until then it keeps its place among the running. */
  perform(args: StandardSchemaV1.InferOutput<Schema>, ctx: JobContext): unknown;
}

/** A job that can be run and enqueued. Total: every option has a value. */
export interface JobDefinition<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  readonly name: string;
  readonly args: Schema;
  readonly retry: RetryPolicy;
  /** The queue that a job with these args goes to. */
  queueOf(args: StandardSchemaV1.InferOutput<Schema>): string;
  perform(args: StandardSchemaV1.InferOutput<Schema>, ctx: JobContext): unknown;
}

const OPTIONS = new Set(["name", "args", "queue", "retry", "perform"]);

/**
 * Defines a job. Register it by exporting it from `jobs/index.ts`.
 * @throws InvalidInput or TypeError, at import time, naming the option that is wrong
 */
export function defineJob<Schema extends StandardSchemaV1>(options: JobOptions<Schema>): JobDefinition<Schema> {
  for (const key of Object.keys(options)) {
    if (!OPTIONS.has(key)) throw new TypeError(`defineJob: unknown option "${key}"`);
  }
  const name = checkJobName(options.name, "defineJob: name");
  if (typeof options.args?.["~standard"]?.validate !== "function") throw new TypeError(`job ${name}: args must be a Standard Schema`);
  if (typeof options.perform !== "function") throw new TypeError(`job ${name}: perform must be a function`);
  const { queue = DEFAULT_QUEUE, perform } = options;
  if (typeof queue === "string") checkQueue(queue, `job ${name}: queue`);
  return {
    name,
    args: options.args,
    retry: retryPolicy(options.retry ?? false),
    queueOf: (args) => (typeof queue === "string" ? queue : checkQueue(queue(args), `job ${name}: queue`)),
    perform: (args, ctx) => perform.call(options, args, ctx),
  };
}

/** What a Standard Schema said of a value. */
export type Checked<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/**
 * Checks args against a definition's schema, with the first few problems in words.
 * A schema that answers at once costs no promise.
 */
export function checkArgs(definition: JobDefinition, args: unknown): Checked<unknown> | Promise<Checked<unknown>> {
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
