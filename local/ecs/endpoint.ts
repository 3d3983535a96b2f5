import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { type Clock, systemClock } from "../../core/contract/clock.ts";
import { perform } from "./actions.ts";
import { readState, writeState } from "./agent.ts";
import { Cluster } from "./cluster.ts";
import { containerMetadata, containerStats, taskMetadata } from "./metadata.ts";
import { EcsProblem } from "./problem.ts";
import type { RestartPolicy } from "./restarts.ts";
import type { Task, TaskDefinition, TaskStatus } from "./task.ts";

const TARGET = "AmazonEC2ContainerServiceV20141113.";
const CONTENT_TYPE = "application/x-amz-json-1.1";

export interface EcsOptions {
  /** The name of the one cluster. */
  readonly cluster: string;
  /** @default 0: a free one */
  readonly port?: number;
  /** What services and RunTask may run; there is no RegisterTaskDefinition. */
  readonly taskDefinitions: readonly Omit<TaskDefinition, "revision">[];
  /** Called after every change of a task's `lastStatus`. */
  readonly onTaskChange?: (task: Task, status: TaskStatus) => void;
  readonly restarts?: RestartPolicy;
  readonly clock?: Clock;
}

/** A running endpoint. */
export interface Ecs {
  /** For `AWS_ENDPOINT_URL_ECS`. */
  readonly endpoint: string;
  /** Oldest first, those included that ended within the last hour. */
  readonly tasks: readonly Task[];
  /** Ends all tasks orderly (SIGTERM, the stop timeout, SIGKILL), then the endpoint: tasks may speak to it while they drain. */
  stop(): Promise<void>;
  /** SIGKILL for all tasks, at once and for good; `stop` afterwards is quick. */
  kill(): void;
}

/**
 * An ECS endpoint whose tasks are processes of this machine. It speaks AWS JSON 1.1 to the real SDK client, and to the tasks the
 * metadata (version 4) and agent protocols; the requests' signatures are not looked at, hence 127.0.0.1 only.
 */
export async function startEcs(options: EcsOptions): Promise<Ecs> {
  const clock = options.clock ?? systemClock;
  const server = createServer();
  await listen(server, options.port ?? 0);
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const cluster = new Cluster({
    name: options.cluster,
    endpoint,
    onTaskChange: options.onTaskChange ?? (() => {}),
    restarts: options.restarts,
    clock,
  });
  for (const definition of options.taskDefinitions) cluster.define(definition);
  const answer = getRequestListener(routes(cluster, clock).fetch);
  server.on("request", (request, response) => void answer(request, response));
  let stopping: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    await cluster.stop();
    await close(server);
  };
  return {
    endpoint,
    get tasks() {
      return cluster.tasks;
    },
    stop: () => (stopping ??= stop()),
    kill: () => cluster.kill(),
  };
}

function routes(cluster: Cluster, clock: Clock): Hono {
  const app = new Hono();
  app.use(bodyLimit({ maxSize: 256 * 1024 }));
  app.post("/", async (c) => amzJson(c, 200, perform(cluster, actionOf(c), await jsonBody(c))));
  app.get("/v4/:token", (c) => c.json(containerMetadata(cluster, caller(cluster, c))));
  app.get("/v4/:token/task", (c) => c.json(taskMetadata(cluster, caller(cluster, c))));
  app.get("/v4/:token/stats", async (c) => c.json(await containerStats(caller(cluster, c), clock.now())));
  app.get("/v4/:token/task/stats", async (c) => {
    const task = caller(cluster, c);
    return c.json({ [task.id]: await containerStats(task, clock.now()) });
  });
  app.get("/api/:token/task-protection/v1/state", (c) => {
    const { status, body } = readState(cluster, caller(cluster, c));
    return c.json(body, status);
  });
  app.put("/api/:token/task-protection/v1/state", async (c) => {
    const { status, body } = writeState(cluster, caller(cluster, c), await jsonBody(c));
    return c.json(body, status);
  });
  app.onError((error, c) => {
    if (error instanceof UnknownCaller) return c.json({ error: { Code: "ResourceNotFoundException", Message: error.message } }, 404);
    if (error instanceof EcsProblem) return amzJson(c, 400, { __type: error.type, message: error.message });
    return amzJson(c, 500, { __type: "ServerException", message: error.message });
  });
  return app;
}

/** A token that belongs to no running task. */
class UnknownCaller extends Error {}

function caller(cluster: Cluster, c: Context): Task {
  const task = cluster.taskOfToken(c.req.param("token") ?? "");
  if (task === undefined) throw new UnknownCaller("unable to get the task from the request: unknown endpoint id");
  return task;
}

function actionOf(c: Context): string {
  const target = c.req.header("x-amz-target") ?? "";
  if (!target.startsWith(TARGET)) throw new EcsProblem("UnknownOperationException", `x-amz-target "${target}" is none of this service's`);
  return target.slice(TARGET.length);
}

async function jsonBody(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EcsProblem("SerializationException", `not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

function amzJson(c: Context, status: 200 | 400 | 500, body: Record<string, unknown>): Response {
  return c.body(JSON.stringify(body), status, { "content-type": CONTENT_TYPE, "x-amzn-requestid": randomUUID() });
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve();
    });
  });
}

/** Keep-alive connections of SDK clients would hold the server open for ever. */
function close(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)));
    server.closeAllConnections();
  });
}
