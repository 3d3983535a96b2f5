import { randomUUID } from "node:crypto";
import type { Runtime } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, expect, inject, it, vi } from "vitest";
import { routeOf } from "../../core/contract/api-routes.ts";
import { Tables } from "../contract/suites/table.ts";
import { StageGraph } from "../infra/graph/graph.ts";
import { type Answer, Deployment } from "./deployment.ts";
import { describeUnless } from "./describe-unless.ts";
import { amqpUrlForContainers } from "./rabbitmq.ts";

/** What a partition's life needs; there is no ECS among what emulators have for nothing. */
const APPS = ["partitions", "jobs", "queues", "tasks"] as const;
const SOON = { timeout: 60_000, interval: 500 };

describeUnless(inject("missing").lambda, "the Lambdas behind API Gateway, in an emulator of AWS", () => {
  const run = randomUUID().slice(0, 8);
  const partition = `acme.${run}`;
  const at = `/partitions/${partition}`;
  const apis = new Map<string, string>();
  const releases = new AsyncDisposableStack();
  let deployment: Deployment;

  beforeAll(async () => {
    const graph = new StageGraph("dev");
    const tables = new Tables(inject("awsEndpoint"));
    releases.defer(() => tables.close());
    releases.defer(() => tables.remove());
    const { table } = await tables.open();
    deployment = new Deployment(inject("awsEndpoint"));
    releases.defer(() => deployment.remove());
    const queues = { ROGER_AMQP_URL: await amqpUrlForContainers(inject("amqpUrl")) };
    for (const app of APPS) {
      const directory = graph.builds.find(({ handler }) => handler === `functions/${app}.handler`)?.directory ?? "";
      const { runtime } = graph.one("aws:lambda/function:Function", `${app.slice(0, 1).toUpperCase()}${app.slice(1)}Function`);
      const environment = { ROGER_TABLE: table, ...(app === "queues" ? queues : {}) };
      apis.set(app, await deployment.deploy({ name: `roger-${app}-${run}`, directory, runtime: runtime as Runtime, environment }));
    }
  }, 900_000);
  afterAll(() => releases.disposeAsync(), 120_000);

  /** As the routes say, to the API of the Lambda that the path belongs to. */
  async function ask(method: string, path: string, body?: object): Promise<Answer> {
    const { app } = routeOf(method, path.replace(/\?.*/, ""));
    const api = apis.get(app);
    if (api === undefined) throw new Error(`${method} ${path}: ${app} is not deployed here`);
    return await deployment.ask(api, method, path, body);
  }

  it("answer for their health", async () => {
    expect(await ask("GET", "/health")).toEqual({ status: 200, body: { status: "ok" } });
  }, 120_000);

  it("take a partition through its life", async () => {
    expect(await ask("POST", `${at}/start`, { queues: { default: 2 } })).toMatchObject({ status: 200, body: { status: "running", revision: 1 } });
    const reconfigured = await ask("POST", `${at}/reconfigure`, { queues: { default: 2, mail: 5 } });
    expect(reconfigured).toMatchObject({ status: 200, body: { revision: 2, queues: [{ queue: "default" }, { queue: "mail", max_workers: 5 }] } });
    expect(await ask("POST", `${at}/queues/mail/pause`)).toMatchObject({ status: 200 });
    expect((await ask("GET", at)).body).toMatchObject({ queues: [{ paused: false }, { queue: "mail", paused: true }] });
    expect(await ask("POST", `${at}/queues/mail/resume`)).toMatchObject({ status: 200 });

    const accepted = await ask("POST", `${at}/jobs`, { name: "sleep", args: { seconds: 0 } });
    expect(accepted).toMatchObject({ status: 202, body: { job_id: expect.any(String) } });
    const { job_id } = accepted.body as { readonly job_id: string };
    expect(await ask("GET", `${at}/jobs?state=parked`)).toMatchObject({ status: 200, body: { jobs: [{ job_id }] } });

    // Nothing runs it, so nothing has to drain.
    expect(await ask("POST", `${at}/safe-stop`)).toMatchObject({ status: 200, body: { status: "stopped" } });
    expect(await ask("POST", `${at}/start`, { queues: { default: 2 } })).toMatchObject({ status: 200, body: { status: "running" } });
    expect(await ask("POST", `${at}/stop`)).toMatchObject({ status: 200, body: { status: "stopped" } });
  }, 120_000);

  it("refuse what the rules refuse, in problems", async () => {
    expect(await ask("POST", `${at}/queues/nowhere/pause`)).toMatchObject({ status: 404 });
    expect(await ask("POST", `${at}/safe-stop`)).toMatchObject({ status: 409, body: { code: "not_running" } });
    expect(await ask("POST", `${at}/start`, { queues: { default: -1 } })).toMatchObject({ status: 400, body: { field: "queues.default" } });
  }, 120_000);

  it("delete a partition by way of RabbitMQ, with the job that waits", async () => {
    await vi.waitFor(async () => expect(await ask("DELETE", `${at}?force=true`)).toMatchObject({ body: { status: "deleted" } }), SOON);
    expect(await ask("GET", at)).toMatchObject({ status: 404 });
  }, 120_000);
});
