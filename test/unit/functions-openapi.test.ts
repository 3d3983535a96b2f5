import { Validator } from "@seriousme/openapi-schema-validator";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../core/contract/clock.ts";
import { composeApp } from "../../functions/app.ts";
import type { AllDeps } from "../../functions/deps.ts";
import { openapiDocument } from "../../functions/openapi.ts";
import { JobBody, QueueListsBody, RetryBuriedBody } from "../../functions/requests.ts";

type Node = { readonly [key: string]: unknown };
interface Operation extends Node {
  readonly summary: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean }[];
  readonly requestBody?: { readonly content: Node };
  readonly responses: Node;
}

const document = JSON.parse(JSON.stringify(openapiDocument())) as {
  openapi: string;
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Node };
};
const operations = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
);

function* references(node: unknown): Generator<string> {
  if (typeof node !== "object" || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    if (key === "$ref" && typeof value === "string") yield value;
    yield* references(value);
  }
}

describe("the OpenAPI document", () => {
  it("is one of OpenAPI 3.1", async () => {
    const validator = new Validator();
    const verdict = await validator.validate(structuredClone(document));
    expect([verdict, validator.version]).toEqual([{ valid: true }, "3.1"]);
  });

  it("has every operation that the app serves, and no other", () => {
    const deps = { clock: systemClock, log: { info() {}, warn() {}, error() {} } } as unknown as AllDeps;
    const served = composeApp(deps).routes.filter(({ method, path }) => method !== "ALL" && path !== "/openapi.json");
    const inDocument = operations.map(({ path, method }) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ":$1")}`);
    expect(new Set(inDocument)).toEqual(new Set(served.map(({ method, path }) => `${method} ${path}`)));
  });

  it("declares each path parameter, a summary and what problems look like", () => {
    expect(document).toMatchObject({ openapi: "3.1.0", info: { title: expect.any(String), version: expect.any(String) } });
    for (const { path, operation } of operations) {
      const declared = (operation.parameters ?? []).filter(({ in: where }) => where === "path").map(({ name }) => name);
      expect(declared).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
      expect(operation.summary).not.toBe("");
      expect(operation.responses.default).toMatchObject({
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
      });
    }
  });

  it("knows what is optional", () => {
    const list = document.paths["/partitions"]?.get?.parameters?.map(({ name, required }) => [name, required]);
    expect(list).toEqual([
      ["status", false],
      ["limit", false],
      ["cursor", false],
    ]);
    expect(document.components.schemas.Problem).toMatchObject({ required: ["title", "status", "code", "detail"] });
  });

  it("has what every reference points to", () => {
    const names = new Set(Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`));
    const wanted = [...references(document)];
    expect(wanted.length).toBeGreaterThan(10);
    expect(wanted.filter((reference) => !names.has(reference))).toEqual([]);
  });

  it("names every operation, every problem's code, and how calls are signed", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(ids).toEqual(expect.arrayContaining(["start", "enqueue", "retryAllBuried"]));
    expect(new Set(ids).size).toBe(operations.length);
    const { properties } = document.components.schemas.Problem as { properties: { code: { enum: string[] } } };
    expect(properties.code.enum).toEqual(expect.arrayContaining(["internal", "invalid_request", "duplicate_job", "store_unavailable"]));
    expect(document).toMatchObject({
      security: [{ signed: [] }, { token: [] }, {}],
      components: { securitySchemes: { signed: { in: "header" }, token: { scheme: "bearer" } } },
    });
  });

  it("shows bodies that would be taken", () => {
    const example = (path: string): unknown =>
      (document.paths[path]?.post?.requestBody?.content["application/json"] as { example?: unknown } | undefined)?.example;
    expect(QueueListsBody.safeParse(example("/partitions/{partition}/start")).success).toBe(true);
    expect(JobBody.safeParse(example("/partitions/{partition}/jobs")).success).toBe(true);
    expect(RetryBuriedBody.safeParse(example("/partitions/{partition}/buried/retry")).success).toBe(true);
  });

  it("tells which bodies may be left out", () => {
    const required = (path: string) => (document.paths[path]?.post?.requestBody as { required?: boolean } | undefined)?.required;
    expect(required("/partitions/{partition}/start")).toBe(false);
    expect(required("/partitions/{partition}/reconfigure")).toBe(true);
  });

  it("describes bodies by the schemas that check them", () => {
    const start = document.paths["/partitions/{partition}/start"]?.post?.requestBody?.content["application/json"];
    expect(start).toMatchObject({
      schema: { type: "object", additionalProperties: false, properties: { queues: { type: "object" }, pools: { type: "object" } } },
    });
    const enqueue = document.paths["/partitions/{partition}/jobs"]?.post?.requestBody?.content["application/json"];
    expect(enqueue).toMatchObject({
      schema: {
        anyOf: [
          { properties: { name: {}, args: {}, id: { pattern: expect.any(String) }, delay: {}, run_at: {} } },
          { properties: { jobs: { maxItems: 100, items: { type: "object" } } } },
        ],
      },
    });
  });
});
