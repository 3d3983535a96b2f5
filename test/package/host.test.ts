import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, inject, it, vi } from "vitest";

const example = inject("example");
const infra = join(example, "node_modules/roger-serverless/dist/infra");
const { applicationHost } = await import(join(infra, "application.js"));
const { roger } = await import(join(infra, "roger.js"));

beforeEach(() => {
  vi.stubGlobal("$cli", { paths: { root: example, work: join(example, ".sst") } });
});

afterEach(() => {
  vi.unstubAllGlobals();
});

it("writes handlers that bring the package's functions and the application's jobs together", () => {
  const host = applicationHost({ jobs: "jobs/index.ts" });
  expect(host.handler("tasks")).toBe(".sst/roger/tasks.handler");
  expect(readFileSync(join(example, ".sst/roger/tasks.mjs"), "utf8")).toBe('export { handler } from "roger-serverless/functions/tasks";\n');
  expect(host.handler("jobs")).toBe(".sst/roger/jobs.handler");
  expect(readFileSync(join(example, ".sst/roger/jobs.mjs"), "utf8")).toContain('import("../../jobs/index.ts")');
});

it("takes an image of the application's own", () => {
  const image = { context: "../..", dockerfile: "apps/worker/Dockerfile" };
  expect(applicationHost({ jobs: "jobs/index.ts", image }).image).toEqual(image);
});

it.each([
  ["jobs/nowhere.ts", "there is no file"],
  ["../jobs/index.ts", "is not a path inside"],
  [join(example, "jobs/index.ts"), "is not a path inside"],
])("refuses %s for jobs: %s", (jobs, why) => {
  expect(() => applicationHost({ jobs })).toThrow(why);
});

it("leaves to the app what is the app's", () => {
  expect(() => roger({ jobs: "jobs/index.ts", region: "eu-west-1" })).toThrow("region: is for app() of sst.config.ts to say");
});

it("asks for the provider that it needs of the app", () => {
  vi.stubGlobal("$app", { name: "invoices", stage: "dev" });
  expect(() => roger({ jobs: "jobs/index.ts" })).toThrow("providers.random: is missing in app() of sst.config.ts");
});

it("refuses a stage whose name is too long for its broker, before anything is made", () => {
  vi.stubGlobal("$app", { name: "invoices", stage: "a-branch-of-somebody-who-likes-long-names-42" });
  vi.stubGlobal("random", {});
  expect(() => roger({ jobs: "jobs/index.ts" })).toThrow(/^stage: its broker would be "invoices-a-branch.*": 53 characters, and Amazon MQ takes 50$/);
});

it("names the setting that is wrong", () => {
  vi.stubGlobal("$app", { name: "invoices", stage: "production" });
  expect(() => roger({ jobs: "jobs/index.ts", pools: { default: { memory: 9 } } })).toThrow(/^production\.pools\.default\.memory: /);
});
