import type { OpenAPIHono } from "@hono/zod-openapi";
import type { AllDeps } from "./deps.ts";
import { newApp } from "./http.ts";
import { jobsApp } from "./jobs.ts";
import { openapiApp } from "./openapi.ts";
import { partitionsApp } from "./partitions.ts";
import { queuesApp } from "./queues.ts";
import { tasksApp } from "./tasks.ts";

/** All Lambdas' apps as one, the way API Gateway puts them side by side: for the local gateway and for tests. */
export function composeApp(deps: AllDeps): OpenAPIHono {
  const app = newApp(deps.log);
  for (const part of [partitionsApp, queuesApp, jobsApp, tasksApp, openapiApp]) app.route("/", part(deps));
  return app;
}
