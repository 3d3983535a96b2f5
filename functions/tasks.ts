import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Deps } from "./deps.ts";
import { newApp } from "./http.ts";
import { lambda } from "./lambda.ts";
import { readTasks } from "./live-tasks.ts";
import * as routes from "./routes.ts";
import { tasksView } from "./wire.ts";

/** Tasks, and whether the API reaches its state. */
export function tasksApp(deps: Deps): OpenAPIHono {
  const app = newApp(deps.log);

  app.openapi(routes.tasks, async (c) => c.json(tasksView(await readTasks(deps.store.tasks, deps.clock.now())), 200));
  app.openapi(routes.health, async (c) => {
    await deps.store.partitions.readVersion();
    return c.json({ status: "ok" as const }, 200);
  });
  return app;
}

export const handler = lambda(tasksApp);
