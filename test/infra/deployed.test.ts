import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateServiceCommand, ECSClient, UpdateServiceCommand } from "@aws-sdk/client-ecs";
import { afterAll, beforeAll, describe, expect, inject, it, onTestFailed, vi } from "vitest";
import { routeOf } from "../../core/contract/api-routes.ts";
import { type Dynamo, startDynamo } from "../../local/dynamodb.ts";
import { type Ecs, startEcs } from "../../local/ecs/endpoint.ts";
import { freePort } from "../../local/free-port.ts";
import { openDocument } from "../../store/client.ts";
import { createTable } from "../../store/table.ts";
import { apiEvent } from "../api-event.ts";
import { runChild } from "./graph/child.ts";
import { StageGraph } from "./graph/graph.ts";
import { buildImage } from "./image/build.ts";
import { LambdaProcess } from "./image/lambda-process.ts";
import { RoleProxy } from "./image/role-proxy.ts";
import { type Container, processOf } from "./image/task.ts";

/**
 * What would be deployed, run on this machine: the handlers as they were bundled, each with its own environment from the
 * graph, and tasks of the image with the container's, on a DynamoDB, an ECS and a RabbitMQ that are here.
 */
const graph = new StageGraph("dev");
const container = JSON.parse(graph.one("aws:ecs/taskDefinition:TaskDefinition").containerDefinitions)[0] as Container;
const service = graph.one("aws:ecs/service:Service").name as string;
const partition = `deployed.${randomBytes(4).toString("hex")}`;
const releases = new AsyncDisposableStack();

let dynamo: Dynamo;
let ecs: Ecs;
let client: ECSClient;
let job: string;
const proxies = new Map<string, RoleProxy>();
let healthPort: number;

// n.b. most of it is npm ci: seconds on a machine of one's own, minutes on a busy one.
beforeAll(async () => {
  const dir = await mkdtemp(join(tmpdir(), "roger-image-"));
  releases.defer(() => rm(dir, { recursive: true }));
  await chmod(dir, 0o755);
  dynamo = await startDynamo();
  releases.defer(() => dynamo.stop());
  const document = openDocument({ endpoint: dynamo.endpoint });
  releases.defer(() => document.destroy());
  await createTable(document, graph.one("aws:dynamodb/table:Table").name);

  healthPort = await freePort();
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const definition = await processOf(await buildImage(dir), container, {
    secrets: { ROGER_AMQP_URL: inject("amqpUrl") },
    env: { ...(await awsFor("WorkerDefaultTaskRole")), ROGER_HEALTH_PORT: String(healthPort), ROGER_REPORT_SECONDS: "1" },
    logDir: join(dir, "logs"),
  });
  ecs = await startEcs({ cluster: graph.one("aws:ecs/cluster:Cluster").name, taskDefinitions: [definition], onTaskChange: () => {} });
  releases.defer(() => ecs.stop());
  client = new ECSClient({ endpoint: ecs.endpoint, region: "local", credentials });
  releases.defer(() => client.destroy());
  const cluster = graph.one("aws:ecs/cluster:Cluster").name;
  await client.send(new CreateServiceCommand({ cluster, serviceName: service, taskDefinition: "worker", desiredCount: 0 }));
}, 400_000);

afterAll(() => releases.disposeAsync());

/** What a process needs to find AWS: DynamoDB and ECS, as far as its role may ask them. */
async function awsFor(role: string): Promise<Record<string, string>> {
  const proxy = await RoleProxy.start(graph, role, () => ({ dynamodb: dynamo.endpoint, ecs: ecs.endpoint }));
  proxies.set(role, proxy);
  releases.defer(() => proxy.stop());
  const credentials = { AWS_ACCESS_KEY_ID: "local", AWS_SECRET_ACCESS_KEY: "local" };
  return { AWS_REGION: "local", ...credentials, AWS_ENDPOINT_URL_DYNAMODB: proxy.url, AWS_ENDPOINT_URL_ECS: proxy.url };
}

/** Rights that are used where this test does not come to. */
const NOT_TRIED: Readonly<Record<string, readonly string[]>> = {
  // To cancel a job that is parked, and to take over a queue key.
  JobsRole: ["dynamodb:UpdateItem"],
  // A pool shrinks after five quiet minutes.
  ScalerRole: ["ecs:UpdateService"],
  // To delete a partition with jobs left, and to remember queues that it lists no longer.
  QueuesRole: ["dynamodb:DeleteItem", "dynamodb:PutItem"],
};

const lambdas = new Map<string, LambdaProcess>();

/** A request to one Lambda: its bundle in a process of its own, with the environment that the graph gives it. */
async function ask(app: string, method: string, path: string, body?: object): Promise<{ status: number | undefined; body: unknown }> {
  const lambda = lambdas.get(app) ?? (await startLambda(app, `${app.slice(0, 1).toUpperCase()}${app.slice(1)}`));
  lambdas.set(app, lambda);
  const { statusCode, body: text } = await lambda.invoke(apiEvent(method, path, body));
  return { status: statusCode, body: JSON.parse(text ?? "null") };
}

async function startLambda(file: string, name: string): Promise<LambdaProcess> {
  const build = graph.builds.find(({ handler }) => handler === `functions/${file}.handler`);
  if (build === undefined) throw new Error(`functions/${file}.handler was not bundled`);
  const { variables } = graph.one("aws:lambda/function:Function", `${name}Function`).environment as { variables: Record<string, string> };
  const amqp = variables.ROGER_AMQP_URL === undefined ? {} : { ROGER_AMQP_URL: inject("amqpUrl") };
  const lambda = new LambdaProcess(build.directory, { ...variables, ...(await awsFor(`${name}Role`)), ...amqp });
  releases.defer(() => lambda.stop());
  return lambda;
}

describe("bundles", () => {
  it.each(graph.builds.map(({ handler, bytes }) => [handler, bytes] as const))("%s is small: %i bytes", (_handler, bytes) => {
    // Unzipped; a Lambda starts the later the more it has to read.
    expect(bytes).toBeLessThan(1_500_000);
  });

  it("are all that functions/ and infra/ name", () => {
    const apps = ["jobs", "openapi", "partitions", "queues", "scale", "tasks"];
    expect(graph.builds.map(({ handler }) => handler).toSorted()).toEqual(apps.map((app) => `functions/${app}.handler`));
  });
});

describe("what is deployed", () => {
  it("serves its document and its health", async () => {
    expect(await ask("openapi", "GET", "/openapi.json")).toMatchObject({ status: 200, body: { openapi: "3.1.0" } });
    expect(await ask("openapi", "GET", "/nowhere")).toMatchObject({ status: 404 });
    expect(await ask("tasks", "GET", "/health")).toEqual({ status: 200, body: { status: "ok" } });
  });

  it("starts a task of the image by a command, and runs a job in it", async () => {
    onTestFailed(() => console.log(...ecs.tasks.map(({ logFile }) => readFileSync(logFile, "utf8"))));
    expect(await ask("partitions", "POST", `/partitions/${partition}/start`, { queues: { default: 2 } })).toMatchObject({ status: 200 });
    await vi.waitFor(() => expect(ecs.tasks.map(({ lastStatus }) => lastStatus)).toEqual(["RUNNING"]), { timeout: 60_000 });
    const answer = await ask("jobs", "POST", `/partitions/${partition}/jobs`, { name: "fail", args: { message: "as the test asked" } });
    expect(answer).toMatchObject({ status: 202 });
    job = (answer.body as { job_id: string }).job_id;
    const state = async () => (await ask("jobs", "GET", `/partitions/${partition}/jobs/${job}`)).body;
    await vi.waitFor(async () => expect(await state()).toMatchObject({ state: "buried", error: { message: "as the test asked" } }), {
      timeout: 60_000,
      interval: 200,
    });
  });

  it("has tasks that ECS finds healthy by the container's own command", async () => {
    const [, program, ...args] = container.healthCheck.command.map((word) => word.replace("8080", String(healthPort)));
    expect(program).toBe("node");
    await runChild(process.execPath, args);
    await expect(
      runChild(
        process.execPath,
        args.map((word) => word.replace("/health", "/elsewhere")),
      ),
    ).rejects.toThrow();
  });

  it("tells of every scaling pass, in the words of CloudWatch", async () => {
    const scaler = await startLambda("scale", "Scaler");
    await scaler.invoke({ source: "aws.scheduler" });
    await vi.waitFor(() => expect(scaler.log).toContainEqual(expect.objectContaining({ _aws: expect.anything() })));
    const line = scaler.log.find(({ _aws }) => _aws !== undefined);
    expect(line).toMatchObject({ RunningPartitions: 1, UnservedPartitions: 0, LiveTasks: 1, DesiredTasks: 1, Slots: 10, OverdueSeconds: 0 });
    expect(line?.Table).toBe(graph.one("aws:dynamodb/table:Table").name);
  });

  it("speaks to RabbitMQ where it must: what is queued is shown and removed", async () => {
    expect(await ask("partitions", "POST", `/partitions/${partition}/queues/default/pause`)).toMatchObject({ status: 200 });
    expect(await ask("queues", "GET", `/partitions/${partition}/queues/default/jobs`)).toEqual({ status: 200, body: { jobs: [] } });
    expect(await ask("queues", "POST", `/partitions/${partition}/queues/default/purge`)).toEqual({
      status: 202,
      body: { removed: 0, more: false, cursor: null },
    });
  });

  it("answers every operation of its document, with the rights that its Lambdas have", async () => {
    const { paths } = (await ask("openapi", "GET", "/openapi.json")).body as { paths: Record<string, Record<string, object>> };
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => [method.toUpperCase(), path] as const),
    );
    for (const [method, pattern] of operations) {
      const path = pattern.replace("{partition}", partition).replace("{queue}", "default").replace("{job}", job);
      const query = method === "GET" && pattern === "/partitions/{partition}/jobs" ? "?state=buried" : "";
      const body = /(start|reconfigure)$/.test(path) ? { queues: { default: 2 } } : pattern.endsWith("}/jobs") ? { name: "fail" } : {};
      const answer = await ask(routeOf(method, path).app, method, `${path}${query}`, method === "POST" ? body : undefined);
      expect(answer.status, `${method} ${path}: ${JSON.stringify(answer.body)}`).toBeLessThan(500);
    }
  });

  it("ends a task within the time it is given, with nothing left to take over", async () => {
    const [task] = ecs.tasks;
    await client.send(new UpdateServiceCommand({ cluster: graph.one("aws:ecs/cluster:Cluster").name, service, desiredCount: 0 }));
    await task?.ended;
    expect(task?.exitCode).toBe(0);
    expect((await ask("tasks", "GET", "/tasks")).body).toMatchObject({ tasks: [] });
  });

  it("deletes what was there", async () => {
    expect(await ask("partitions", "POST", `/partitions/${partition}/stop`)).toMatchObject({ status: 200 });
    await vi.waitFor(async () => expect((await ask("queues", "DELETE", `/partitions/${partition}?force=true`)).body).toEqual({ status: "deleted" }), {
      timeout: 60_000,
    });
  });

  it("had every right that it needed", () => {
    expect(Object.fromEntries([...proxies].map(([role, { refused }]) => [role, refused]).filter(([, refused]) => refused?.length !== 0))).toEqual({});
    // And no right that nothing needs, but for what is beyond this test.
    for (const [role, { unused }] of proxies)
      expect(
        unused.filter((right) => !NOT_TRIED[role]?.includes(right.split(" ")[0] ?? "")),
        role,
      ).toEqual([]);
  });
});
