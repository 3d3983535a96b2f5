import { describe, expect, it } from "vitest";
import { API_ROUTES, type ApiApp, routeOf } from "../../core/contract/api-routes.ts";
import { systemClock } from "../../core/contract/clock.ts";
import type { AllDeps } from "../../functions/deps.ts";
import { jobsApp } from "../../functions/jobs.ts";
import { openapiApp, openapiDocument } from "../../functions/openapi.ts";
import { partitionsApp } from "../../functions/partitions.ts";
import { queuesApp } from "../../functions/queues.ts";
import { tasksApp } from "../../functions/tasks.ts";

const deps = { clock: systemClock, log: { info() {}, warn() {}, error() {} } } as unknown as AllDeps;

/** What each app serves: it has to be deployed there and nowhere else. */
const SERVED = Object.entries({ partitions: partitionsApp, queues: queuesApp, jobs: jobsApp, tasks: tasksApp, openapi: openapiApp }).flatMap(
  ([app, make]) => {
    // Hono lists a route once for each handler and check that it has.
    const routes = new Set(
      make(deps)
        .routes.filter(({ method }) => method !== "ALL")
        .map(({ method, path }) => `${method} ${path}`),
    );
    return [...routes].map((route) => ({ app: app as ApiApp, method: route.split(" ")[0] ?? "", path: route.split(" ")[1] ?? "" }));
  },
);

/** A path with something in place of each variable. */
const filled = (path: string) => path.replace(/:\w+|\{\w+\}/g, "acme");

describe("routes of the API", () => {
  it.each(SERVED)("$method $path is deployed to $app", ({ app, method, path }) => {
    expect(routeOf(method, filled(path)), `add a line to API_ROUTES in core/contract/api-routes.ts`).toMatchObject({ app });
  });

  it("are deployed for every operation of the OpenAPI document", () => {
    const { paths } = JSON.parse(JSON.stringify(openapiDocument())) as { paths: Record<string, Record<string, object>> };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
    );
    for (const [method, path] of operations) {
      const { app } = routeOf(method, filled(path));
      const served = SERVED.filter((route) => route.app === app && route.method === method && filled(route.path) === filled(path));
      expect(served, `${method} ${path} is deployed to ${app}`).not.toEqual([]);
    }
  });

  it.each([
    ["GET", "/partitions/acme", "partitions"],
    ["DELETE", "/partitions/acme", "queues"],
    ["POST", "/partitions/acme/queues/mail/pause", "partitions"],
    ["POST", "/partitions/acme/queues/mail/purge", "queues"],
    ["POST", "/partitions/acme/buried/some-job/retry", "jobs"],
    ["POST", "/partitions/acme/jobs/some-job/cancel", "jobs"],
    ["GET", "/partitions/acme/nowhere", "openapi"],
    ["GET", "/", "openapi"],
  ])("%s %s goes to %s", (method, path, app) => {
    expect(routeOf(method, path).app).toBe(app);
  });

  it("leave API Gateway no choice: two that match the same request differ in how special they are", () => {
    const shape = (path: string) => path.replace(/\{\w+\}/g, "{}").replace(/\{\w+\+\}/g, "{+}");
    const keys = API_ROUTES.map(({ method, path }) => `${method} ${shape(path)}`);
    expect(new Set(keys).size).toBe(keys.length);
  });
});
