import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineJob, type JobOptions } from "../../core/job/define-job.ts";
import { registryOf } from "../../core/job/registry.ts";
import * as ours from "../../jobs/index.ts";
import { sampleJob } from "../../local/sample-job.ts";

const perform = () => undefined;
const job = <Schema extends StandardSchemaV1>(name: string, args: Schema, more: Partial<JobOptions<Schema>> = {}) =>
  defineJob({ name, args, perform, ...more });
const sample = (...jobs: ReturnType<typeof job>[]) => sampleJob(registryOf(Object.fromEntries(jobs.map((each, i) => [`job${i}`, each]))), 1_000);

/** Any Standard Schema, which need not know JSON Schema. */
const foreign = (takes: (value: unknown) => boolean, jsonSchema?: object): StandardSchemaV1 => ({
  "~standard": { version: 1, vendor: "x", validate: (value) => (takes(value) ? { value } : { issues: [{ message: "no" }] }), ...jsonSchema },
});

describe("a job to try", () => {
  it("of ours is one that hashes a file, which is there", async () => {
    expect(await sampleJob(registryOf(ours), 1_000)).toEqual({ name: "hash-file", args: { path: "package.json" }, queue: "default" });
  });

  it("has args that its schema takes, made of examples, defaults and types", async () => {
    const args = z.object({
      path: z.string().meta({ examples: ["a.txt"] }),
      to: z.email(),
      at: z.iso.datetime(),
      day: z.iso.date(),
      id: z.uuid(),
      link: z.url(),
      size: z.int().min(7),
      loud: z.boolean(),
      mode: z.enum(["fast", "slow"]),
      either: z.union([z.literal("x"), z.number()]),
      lines: z.array(z.object({ text: z.string() })).min(1),
      left: z.string().optional(),
      tries: z.number().default(3),
    });
    expect(await sample(job("all", args, { queue: ({ mode }) => mode }))).toEqual({
      name: "all",
      queue: "fast",
      args: {
        path: "a.txt",
        to: "someone@example.com",
        at: "2030-01-31T09:00:00Z",
        day: "2030-01-31",
        id: "019ab5a0-1c2d-7e3f-8a4b-5c6d7e8f9a0b",
        link: "https://example.com",
        size: 7,
        loud: true,
        mode: "fast",
        either: "x",
        lines: [{ text: "text" }],
      },
    });
  });

  it("is one whose args tell something, if there is one", async () => {
    const nothing = job("nothing", z.object({}));
    expect(await sample(nothing)).toMatchObject({ name: "nothing", args: {} });
    expect(await sample(nothing, job("greet", z.object({ who: z.string() })))).toMatchObject({ name: "greet", args: { who: "text" } });
  });

  it.each([
    ["wants more than its types say", z.object({ sum: z.string().regex(/^\d+$/) })],
    ["knows no JSON Schema, and takes no {}", foreign(() => false)],
    ["throws", z.object({ to: z.string().transform((text) => new URL(text)) })],
    ["can't say itself as one", z.object({ on: z.date() })],
    ["contains itself", foreign(() => false, { jsonSchema: { input: () => deep } })],
  ])("is not one whose schema %s", async (_, schema) => {
    expect(await sample(job("hard", schema))).toBeUndefined();
    expect(await sample(job("hard", schema), job("easy", z.object({})))).toMatchObject({ name: "easy" });
  });

  it("is not one whose queue can't be told of the args", async () => {
    const queue = (): string => {
      throw new Error("no such customer");
    };
    expect(await sample(job("picky", z.object({}), { queue }))).toBeUndefined();
  });

  it("may be one of a schema that knows no JSON Schema, if it takes {}", async () => {
    expect(
      await sample(
        job(
          "any",
          foreign(() => true),
        ),
      ),
    ).toMatchObject({ name: "any", args: {} });
  });
});

const deep: { anyOf: unknown[] } = { anyOf: [] };
deep.anyOf.push(deep);
