import type { OpenAPIHono } from "@hono/zod-openapi";
import type { FunctionsEnvironment } from "../client/environment.ts";
import { describeError, InvalidInput } from "../core/contract/errors.ts";
import { brokerQueue } from "../core/contract/names.ts";
import { CommandRefused } from "../core/partition/commands.ts";
import { readBody } from "./body.ts";
import { knownPartition } from "./commands.ts";
import { deletePartition, everyQueue } from "./delete-partition.ts";
import type { Log, QueuesDeps, WithQueues } from "./deps.ts";
import { newApp } from "./http.ts";
import { peekedView } from "./job-views.ts";
import { type LambdaHandler, lambda } from "./lambda.ts";
import { purge } from "./purge.ts";
import { type JobsImport, loadRegistry } from "./registry.ts";
import { NoBody } from "./requests.ts";
import * as routes from "./routes.ts";

/** What is in queues, and the end of a partition: the only app that speaks to RabbitMQ. */
export function queuesApp(deps: QueuesDeps): OpenAPIHono {
  const app = newApp(deps.log);

  app.openapi(routes.purge, async (c) => {
    await readBody(c, NoBody);
    const at = c.req.valid("param");
    await knownQueue(deps, at);
    return c.json(await purge(deps, at, c.req.valid("query").cursor), 202);
  });
  app.openapi(routes.peek, async (c) => {
    const name = await knownQueue(deps, c.req.valid("param"));
    const { limit } = c.req.valid("query");
    const bodies = (await deps.withQueues((queues) => queues.peek(name, limit))) ?? [];
    return c.json({ jobs: bodies.map((body) => peekedView(deps.registry, body)) }, 200);
  });
  app.openapi(routes.deletePartition, async (c) => {
    const status = await deletePartition(deps, c.req.valid("param").partition, c.req.valid("query").force);
    return c.json({ status }, status === "deleted" ? 200 : 202);
  });
  return app;
}

/** @returns the RabbitMQ queue @throws CommandRefused `unknown_partition` or `unknown_queue` */
async function knownQueue(deps: QueuesDeps, at: { readonly partition: string; readonly queue: string }): Promise<string> {
  const partition = await knownPartition(deps, at.partition);
  const queues = await everyQueue(deps, partition);
  if (!queues.includes(at.queue)) {
    throw new CommandRefused("unknown_queue", `partition ${at.partition} has no queue "${at.queue}"; it has ${queues.join(", ") || "none"}`);
  }
  return brokerQueue(at.partition, at.queue);
}

/**
 * A connection for each piece of work: a Lambda is frozen between invocations, and a frozen connection is a dead one.
 * @throws InvalidInput when no broker is configured
 */
async function queuesPerInvocation(environment: FunctionsEnvironment, log: Log): Promise<WithQueues> {
  const url = environment.amqpUrl;
  if (url === undefined) throw new InvalidInput("ROGER_AMQP_URL", "must be set");
  // Imported here, so that no other function carries an AMQP client.
  const { openBroker } = await import("../broker/broker.ts");
  const open = () => openBroker({ url, name: "roger functions" });
  // Connects nothing: a URL that is none fails here, and not later as if the caller's request were bad.
  open();
  return async (work) => {
    const broker = open();
    try {
      await broker.start();
      return await work(broker.admin);
    } finally {
      // The work is done or has failed; how the connection ends changes neither.
      await broker.stop().catch((error: unknown) => log.warn("the broker connection did not close", { error: describeError(error) }));
    }
  };
}

/** The Lambda for an application's jobs, whose definitions say what of them may be shown. @param jobs @default the module that `ROGER_JOBS` names */
export function handlerFor(jobs?: JobsImport): LambdaHandler {
  return lambda(async (deps, environment) => {
    const registry = await loadRegistry(jobs ?? environment.jobs);
    return queuesApp({ ...deps, registry, withQueues: await queuesPerInvocation(environment, deps.log) });
  });
}

export const handler = handlerFor();
