import { spawn } from "node:child_process";
import { once } from "node:events";
import { CreateTableCommand } from "@aws-sdk/client-dynamodb";
import { BatchWriteCommand, GetCommand, PutCommand } from "@aws-sdk/lib-dynamodb";
import { expect, inject, it, onTestFinished, vi } from "vitest";
import { z } from "zod";
import { connect } from "../../client/connect.ts";
import { jobSpec } from "../../core/job/define-job.ts";
import { openDocument } from "../../store/client.ts";
import { apiEvent } from "../api-event.ts";
import { Pool } from "../fixture/pool.ts";
import { runChild } from "../infra/graph/child.ts";
import { StageGraph } from "../infra/graph/graph.ts";
import { execForm, named, readDockerfile } from "../infra/image/dockerfile.ts";
import { LambdaProcess } from "../infra/image/lambda-process.ts";
import { RoleProxy } from "../infra/image/role-proxy.ts";

/** What the example would deploy, run here: its own function and Roger's as they were bundled, and a task's process. */
const example = inject("example");
const graph = new StageGraph("dev", inject("exampleGraphs"));
const bundleOf = (handler: string) => graph.builds.find((build) => build.handler === handler)?.directory ?? "";

async function setUp() {
  const pool = await Pool.open(inject("amqpUrl"), []);
  const acme = pool.name("acme");
  await pool.start(acme, { default: 2, mail: 2 });
  const document = openDocument({ endpoint: pool.endpoint, region: "local" });
  onTestFinished(() => document.destroy());
  const env = {
    ROGER_TABLE: "roger",
    INVOICES_TABLE: "invoices",
    AWS_ENDPOINT_URL_DYNAMODB: pool.endpoint,
    AWS_REGION: "local",
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
  };
  /** The table as the function of this route may see it. */
  const asFunctionOf = async (route: string): Promise<RoleProxy> => {
    const [lambda] = graph.of("aws:lambda/function:Function").filter(({ inputs }) => inputs.description === `Api route ${route}`);
    const role = String(lambda?.inputs.role).split(":").at(-1) as string;
    const nameOf = (hashKey: string) => graph.of("aws:dynamodb/table:Table").find(({ inputs }) => inputs.hashKey === hashKey)?.name ?? "";
    const tables = { roger: nameOf("pk"), invoices: nameOf("id") };
    const proxy = await RoleProxy.start(graph, role, () => ({ dynamodb: pool.endpoint, ecs: "", tables }));
    onTestFinished(() => proxy.stop());
    return proxy;
  };
  /** The application's own table, with an invoice. */
  const createInvoices = async () => {
    const id = { AttributeName: "id" };
    await document.send(
      new CreateTableCommand({
        TableName: "invoices",
        KeySchema: [{ ...id, KeyType: "HASH" }],
        AttributeDefinitions: [{ ...id, AttributeType: "S" }],
        BillingMode: "PAY_PER_REQUEST",
      }),
    );
    await vi.waitFor(() => document.send(new PutCommand({ TableName: "invoices", Item: { id: "1" } })), 20_000);
  };
  return { pool, acme, document, env, asFunctionOf, createInvoices };
}

it("a payment goes through the API's function, the table and RabbitMQ into a task, and is booked", async () => {
  const { acme, document, env, asFunctionOf, createInvoices } = await setUp();
  await createInvoices();
  startTask(env);

  const payment = { payment: "p", invoice: "1", customer: "ada", cents: 500 };
  const event = { ...apiEvent("POST", `/tenants/${acme}/payments`, payment), pathParameters: { tenant: acme } };
  const call = `import { take } from './bundle.mjs'; console.log(JSON.stringify(await take(${JSON.stringify(event)})));`;
  const table = await asFunctionOf("POST /tenants/{tenant}/payments");
  const answer = await runChild(process.execPath, ["--input-type=module", "-e", call], {
    cwd: bundleOf("api/payments.take"),
    env: { ...env, AWS_ENDPOINT_URL_DYNAMODB: table.url },
  });
  expect({ ...JSON.parse(answer), refused: table.refused }).toMatchObject({ statusCode: 202, refused: [] });
  await vi.waitFor(async () => {
    const { Item } = await document.send(new GetCommand({ TableName: "invoices", Key: { id: "1" }, ConsistentRead: true }));
    expect(Item).toMatchObject({ paid: 500 });
  }, 20_000);
});

it("a function that enqueues may do all that the client does, and nothing that it does not", async () => {
  const { acme, asFunctionOf, createInvoices } = await setUp();
  await createInvoices();
  const table = await asFunctionOf("POST /tenants/{tenant}/invoices");
  const document = openDocument({ endpoint: table.url, region: "local" });
  onTestFinished(() => document.destroy());
  const client = connect({ table: "roger", endpoint: table.url, region: "local" });
  onTestFinished(() => client.close());
  const args = z.object({ invoice: z.string() });
  const plain = jobSpec({ name: "plain", args });
  const keyed = jobSpec({ name: "keyed", args, queueKey: ({ invoice }) => invoice });

  const { jobId } = await client.enqueue(plain, { invoice: "1" }, { partition: acme, delay: 600 });
  await client.enqueue(keyed, { invoice: "1" }, { partition: acme });
  await client.enqueue(plain, { invoice: "1" }, { partition: acme, id: "my-own" });
  expect(await client.get(acme, jobId)).toMatchObject({ state: "parked" });
  expect([await client.cancel(acme, jobId), await client.cancel(acme, "my-own")]).toEqual(["cancelled", "cancelled"]);
  // What the application sends itself. n.b. the emulator knows no transactions; IAM asks for PutItem of each item of one.
  const { item } = await client.toTransactItem(keyed, { invoice: "2" }, { partition: acme });
  await document.send(new PutCommand(item.Put));
  await document.send(new PutCommand({ TableName: "invoices", Item: { id: "2" } }));
  const { request } = await client.toBatchItem(plain, { invoice: "3" }, { partition: acme });
  await document.send(new BatchWriteCommand({ RequestItems: { roger: [request] } }));
  expect({ refused: table.refused, unused: table.unused }).toEqual({ refused: [], unused: [] });
});

it("Roger's own API knows the application's jobs: it checks their args, and shows what they let it show", async () => {
  const { acme, env } = await setUp();
  const lambda = new LambdaProcess(bundleOf(".sst/roger/jobs.handler"), env);
  onTestFinished(() => lambda.stop());
  const post = (args: object) => lambda.invoke(apiEvent("POST", `/partitions/${acme}/jobs`, { name: "send-invoice", args, delay: 600 }));
  const refused = await post({ invoice: "1", to: "nobody" });
  expect([refused.statusCode, JSON.parse(refused.body ?? "").field]).toEqual([400, "args.to"]);
  const accepted = await post({ invoice: "1", to: "ada@example.com" });
  expect(accepted.statusCode).toBe(202);

  const { job_id: job } = JSON.parse(accepted.body ?? "");
  const shown = await lambda.invoke(apiEvent("GET", `/partitions/${acme}/jobs/${job}`));
  expect(shown.body).toContain("redacted");
  expect(shown.body).not.toContain("ada@example.com");
});

/** The image's command, where the image has the application; what is told apart from the graph is where this machine has things. */
function startTask(env: Readonly<Record<string, string>>): void {
  const dockerfile = readDockerfile(graph.one("docker-build:index:Image").dockerfile.location);
  const [, ...args] = named(dockerfile.at(-1), "CMD").map(execForm)[0] ?? [];
  const [container] = JSON.parse(graph.one("aws:ecs/taskDefinition:TaskDefinition").containerDefinitions);
  const told = Object.fromEntries(container.environment.map(({ name, value }: { name: string; value: string }) => [name, value]));
  const child = spawn(process.execPath, args, {
    cwd: example,
    env: { ...told, ...env, ROGER_AMQP_URL: inject("amqpUrl"), ROGER_HEALTH_PORT: "0" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  onTestFinished(async () => {
    child.kill();
    if (child.exitCode === null) await once(child, "exit");
  });
}
