import type { OpenAPIHono } from "@hono/zod-openapi";
import { readBody } from "./body.ts";
import { command, partitionNow } from "./commands.ts";
import type { Deps } from "./deps.ts";
import { newApp } from "./http.ts";
import { checkKnownPools } from "./known-pools.ts";
import { lambda } from "./lambda.ts";
import { readTasks } from "./live-tasks.ts";
import { isEmpty, NoBody, poolsOf, QueueListsBody, StartBody } from "./requests.ts";
import * as routes from "./routes.ts";
import { partitionView } from "./wire.ts";

/** Partitions: their lifecycle, that of their queues, and how they are. */
export function partitionsApp(deps: Deps): OpenAPIHono {
  const app = newApp(deps.log);

  app.openapi(routes.start, async (c) => {
    const body = await readBody(c, StartBody);
    checkKnownPools(deps.pools, body);
    const pools = isEmpty(body) ? {} : { pools: poolsOf(body) };
    return c.json(await command(deps, c.req.valid("param").partition, { type: "start", ...pools }, c.req.valid("query").wait), 200);
  });
  app.openapi(routes.reconfigure, async (c) => {
    const body = await readBody(c, QueueListsBody);
    checkKnownPools(deps.pools, body);
    const pools = poolsOf(body);
    return c.json(await command(deps, c.req.valid("param").partition, { type: "reconfigure", pools }, c.req.valid("query").wait), 200);
  });
  app.openapi(routes.safeStop, async (c) => {
    await readBody(c, NoBody);
    return c.json(await command(deps, c.req.valid("param").partition, { type: "safe_stop" }, c.req.valid("query").wait), 200);
  });
  app.openapi(routes.stop, async (c) => {
    await readBody(c, NoBody);
    return c.json(await command(deps, c.req.valid("param").partition, { type: "stop" }, c.req.valid("query").wait), 200);
  });
  app.openapi(routes.pause, async (c) => {
    await readBody(c, NoBody);
    const { partition, queue } = c.req.valid("param");
    return c.json(await command(deps, partition, { type: "pause", queue }, c.req.valid("query").wait), 200);
  });
  app.openapi(routes.resume, async (c) => {
    await readBody(c, NoBody);
    const { partition, queue } = c.req.valid("param");
    return c.json(await command(deps, partition, { type: "resume", queue }, c.req.valid("query").wait), 200);
  });

  app.openapi(routes.listPartitions, async (c) => {
    const [{ partitions, cursor }, overview, cluster] = await Promise.all([
      deps.store.partitions.list(c.req.valid("query")),
      readTasks(deps.store.tasks, deps.clock.now()),
      deps.store.partitions.readVersion(),
    ]);
    return c.json({ partitions: partitions.map((partition) => partitionView(partition, overview, cluster)), cursor: cursor ?? null }, 200);
  });
  app.openapi(routes.getPartition, async (c) => c.json(await partitionNow(deps, c.req.valid("param").partition), 200));
  return app;
}

export const handler = lambda(partitionsApp);
