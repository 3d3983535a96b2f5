import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, inject, it } from "vitest";
import { runChild } from "../infra/graph/child.ts";
import { StageGraph } from "../infra/graph/graph.ts";
import { arn } from "../infra/graph/mocks.ts";
import { findFaults } from "../infra/image/dockerfile.ts";

const example = inject("example");
const graph = new StageGraph("dev", inject("exampleGraphs"));

describe.each(Object.entries(inject("nodes")))("the example on Node %s", (_major, node) => {
  it("passes its own tests", async () => {
    expect(await runChild(node, ["--test", "--test-reporter=tap"], { cwd: example })).toMatch(/^# pass 4\n# fail 0$/m);
  });
});

describe("what the example would deploy", () => {
  it("is all of Roger beside the application's own, and no two have one name", () => {
    const lambdas = graph.of("aws:lambda/function:Function").map(({ name }) => name);
    const ours = ["Jobs", "Openapi", "Partitions", "Queues", "Scaler", "Tasks"].map((name) => `Roger${name}Function`);
    expect(lambdas.filter((name) => name.startsWith("Roger")).toSorted()).toEqual(ours);
    expect(lambdas.filter((name) => !name.startsWith("Roger"))).toHaveLength(2);
    expect(
      graph
        .of("aws:dynamodb/table:Table")
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(["InvoicesTable", "RogerStateTable"]);
    expect(
      graph
        .of("aws:apigatewayv2/api:Api")
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(["ApiApi", "RogerApiApi"]);
    const names = graph.all.map(({ type, name }) => `${type} ${name}`);
    expect(names).toEqual([...new Set(names)]);
  });

  it("has every handler bundled, Roger's with the application's jobs", () => {
    const text = (file: string) =>
      readFileSync(join(graph.builds.find(({ handler }) => handler.includes(file))?.directory ?? "", "bundle.mjs"), "utf8");
    expect(graph.builds.map(({ handler }) => handler).toSorted()).toEqual(
      [
        ...["jobs", "openapi", "partitions", "queues", "scale", "tasks"].map((name) => `.sst/roger/${name}.handler`),
        "api/invoices.create",
        "api/payments.take",
      ].toSorted(),
    );
    for (const name of ["jobs", "queues"]) expect(text(`.sst/roger/${name}.`)).toContain("book-payment");
    for (const name of ["partitions", "tasks", "scale", "openapi"]) expect(text(`.sst/roger/${name}.`)).not.toContain("book-payment");
  });

  it("has tasks of an image that has the application and its packages", () => {
    const { context, dockerfile } = graph.one("docker-build:index:Image");
    expect(context.location).toBe(example);
    expect(dockerfile.location).toBe(join(example, "node_modules/roger-serverless/dist/worker/Dockerfile"));
    // What jobs import is for the application to know; .env files and the like are kept out beside the Dockerfile.
    expect(findFaults(readFileSync(dockerfile.location, "utf8"))).toEqual(["line 12: copies everything that is not ignored"]);
    expect(readFileSync(`${dockerfile.location}.dockerignore`, "utf8").split("\n")).toEqual(
      expect.arrayContaining(["**/node_modules", "**/.git", "**/.env", "**/.env.*", "**/.npmrc", ".sst"]),
    );
  });

  it("lets jobs have what the application gave them, and Roger what it needs", () => {
    const [container] = JSON.parse(graph.one("aws:ecs/taskDefinition:TaskDefinition").containerDefinitions);
    const environment = Object.fromEntries(container.environment.map(({ name, value }: { name: string; value: string }) => [name, value]));
    expect(environment).toMatchObject({
      ROGER_JOBS: "./jobs/index.ts",
      ROGER_TABLE: graph.one("aws:dynamodb/table:Table", "RogerStateTable").name,
      INVOICES_TABLE: graph.one("aws:dynamodb/table:Table", "InvoicesTable").name,
      MAILER_URL: "https://mailer.example.com/send",
    });
    const role = JSON.stringify(graph.one("aws:iam/role:Role", "RogerWorkerDefaultTaskRole").inlinePolicies);
    for (const table of ["InvoicesTable", "RogerStateTable"]) expect(role).toContain(arn("dynamodb", table));
  });

  it("lets the application's functions enqueue", () => {
    const [take] = graph.of("aws:lambda/function:Function").filter(({ inputs }) => inputs.environment.variables.INVOICES_TABLE !== undefined);
    expect(take?.inputs.environment.variables.ROGER_TABLE).toBe(graph.one("aws:dynamodb/table:Table", "RogerStateTable").name);
  });
});
