import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { InvalidInput } from "../core/contract/errors.ts";
import type { JobDefinition } from "../core/job/define-job.ts";
import type { Json } from "../core/job/envelope.ts";
import { newJob } from "../core/job/new-job.ts";
import type { Registry } from "../core/job/registry.ts";

/** A job as it can be enqueued at once, to be shown. */
export interface SampleJob {
  readonly name: string;
  readonly args: Json;
  readonly queue: string;
}

/**
 * One of the jobs with args that it takes, one with args that tell something if there is one. The args are made of its schema:
 * of its own `examples` and defaults, else of its types. `undefined`: none takes what was thought of.
 */
export async function sampleJob(registry: Registry, now: number): Promise<SampleJob | undefined> {
  const samples = await Promise.all([...registry.values()].map((definition) => sampleOf(definition, now)));
  const taken = samples.filter((sample) => sample !== undefined);
  return taken.find(({ args }) => args !== null && Object.keys(args).length > 0) ?? taken[0];
}

async function sampleOf(definition: JobDefinition, now: number): Promise<SampleJob | undefined> {
  const { name } = definition;
  const args = exampleOf(inputSchema(definition.args), 0);
  try {
    const { job } = await newJob(definition, args, { partition: "sample" }, now);
    return { name, args, queue: job.queue };
  } catch (error) {
    if (error instanceof InvalidInput) return undefined;
    throw error;
  }
}

/** Not every schema can say itself in JSON's words; then it has to take `{}`. */
function inputSchema(schema: StandardSchemaV1): unknown {
  const props: StandardSchemaV1["~standard"] & Partial<StandardJSONSchemaV1["~standard"]> = schema["~standard"];
  try {
    return props.jsonSchema?.input({ target: "draft-2020-12" }) ?? NO_ARGS;
  } catch {
    // "May throw if conversion is not supported", and it says nothing that would help here.
    return NO_ARGS;
  }
}

const NO_ARGS = { type: "object" } as const;

const TEXTS: Readonly<Record<string, string>> = {
  "date-time": "2030-01-31T09:00:00Z",
  date: "2030-01-31",
  email: "someone@example.com",
  uri: "https://example.com",
  uuid: "019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
};

/** Deeper than any args that fit a line. */
const DEEPEST = 5;

interface JsonSchema {
  readonly type?: unknown;
  readonly examples?: readonly Json[];
  readonly default?: Json;
  readonly const?: Json;
  readonly enum?: readonly Json[];
  readonly anyOf?: readonly unknown[];
  readonly format?: string;
  readonly minimum?: number;
  readonly items?: unknown;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

/** A value that the schema may take; whether it does is for the schema itself to say. */
function exampleOf(schema: unknown, depth: number): Json {
  if (typeof schema !== "object" || schema === null || depth > DEEPEST) return null;
  const { type, properties = {}, required = [], ...more }: JsonSchema = schema;
  const given = more.examples?.[0] ?? more.default ?? more.const ?? more.enum?.[0];
  if (given !== undefined) return given;
  if (more.anyOf !== undefined) return exampleOf(more.anyOf[0], depth + 1);
  switch (type) {
    case "string":
      return TEXTS[more.format ?? ""] ?? "text";
    case "number":
    case "integer":
      return Math.max(1, more.minimum ?? 1);
    case "boolean":
      return true;
    case "array":
      return [exampleOf(more.items, depth + 1)];
    case "object":
      return Object.fromEntries(required.map((name) => [name, exampleOf(properties[name], depth + 1)]));
    default:
      return null;
  }
}
