import { randomUUID } from "node:crypto";
import type { APIGatewayProxyEvent, APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { LambdaHandler } from "../../functions/lambda.ts";
import { apiWorld, buriedJob, freshPartition } from "../api-world.ts";

const world = apiWorld();

/** The real entry points, with nothing but an environment to go by. */
const handlers = {} as Record<"partitions" | "queues" | "jobs" | "tasks" | "openapi", LambdaHandler>;

beforeAll(async () => {
  vi.stubEnv("ROGER_TABLE", world.table);
  vi.stubEnv("ROGER_LOG_LEVEL", "silent");
  vi.stubEnv("ROGER_AMQP_URL", "amqp://127.0.0.1:1");
  vi.stubEnv("AWS_REGION", "local");
  vi.stubEnv("AWS_ACCESS_KEY_ID", "local");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "local");
  vi.stubEnv("AWS_ENDPOINT_URL_DYNAMODB", world.endpoint);
  handlers.partitions = (await import("../../functions/partitions.ts")).handler;
  handlers.queues = (await import("../../functions/queues.ts")).handler;
  handlers.jobs = (await import("../../functions/jobs.ts")).handler;
  handlers.tasks = (await import("../../functions/tasks.ts")).handler;
  handlers.openapi = (await import("../../functions/openapi.ts")).handler;
});

interface Asked {
  readonly query?: string;
  readonly body?: string;
  readonly base64?: boolean;
  readonly stage?: string;
  readonly headers?: Record<string, string>;
}

/** An event as API Gateway sends it for an HTTP API, payload version 2.0. */
function event(
  method: string,
  rawPath: string,
  { query = "", body, base64 = false, stage = "$default", headers = {} }: Asked = {},
): APIGatewayProxyEventV2 {
  const path = stage === "$default" ? rawPath : `/${stage}${rawPath}`;
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: path,
    rawQueryString: query,
    ...(query === "" ? {} : { queryStringParameters: Object.fromEntries(new URLSearchParams(query)) }),
    headers: {
      accept: "*/*",
      "content-length": String(body === undefined ? 0 : Buffer.byteLength(body, base64 ? "base64" : "utf8")),
      "content-type": "application/x-www-form-urlencoded",
      host: "abcdef1234.execute-api.eu-west-1.amazonaws.com",
      "user-agent": "curl/8.5.0",
      "x-amzn-trace-id": "Root=1-6921d5d1-0a1b2c3d4e5f60718293a4b5",
      "x-forwarded-for": "203.0.113.7",
      "x-forwarded-port": "443",
      "x-forwarded-proto": "https",
      ...headers,
    },
    requestContext: {
      accountId: "123456789012",
      apiId: "abcdef1234",
      domainName: "abcdef1234.execute-api.eu-west-1.amazonaws.com",
      domainPrefix: "abcdef1234",
      http: { method, path, protocol: "HTTP/1.1", sourceIp: "203.0.113.7", userAgent: "curl/8.5.0" },
      requestId: randomUUID(),
      routeKey: "$default",
      stage,
      time: "24/Nov/2026:04:00:00 +0000",
      timeEpoch: 1_795_492_800_000,
    },
    ...(body === undefined ? {} : { body }),
    isBase64Encoded: base64,
  };
}

/** An event as API Gateway sends it for a REST API, payload version 1.0. */
function restEvent(
  method: string,
  path: string,
  { query, body }: { readonly query?: Record<string, string[]>; readonly body?: string } = {},
): APIGatewayProxyEvent {
  const headers = { accept: "*/*", "content-type": "application/json", Host: "abcdef1234.execute-api.eu-west-1.amazonaws.com" };
  return {
    resource: "/{proxy+}",
    path,
    httpMethod: method,
    headers,
    multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    queryStringParameters: query === undefined ? null : Object.fromEntries(Object.entries(query).map(([name, values]) => [name, values.at(-1)])),
    multiValueQueryStringParameters: query ?? null,
    pathParameters: { proxy: path.slice(1) },
    stageVariables: null,
    requestContext: {
      accountId: "123456789012",
      apiId: "abcdef1234",
      authorizer: null,
      domainName: "abcdef1234.execute-api.eu-west-1.amazonaws.com",
      httpMethod: method,
      identity: { sourceIp: "203.0.113.7", userAgent: "curl/8.5.0" } as APIGatewayProxyEvent["requestContext"]["identity"],
      path: `/prod${path}`,
      protocol: "HTTP/1.1",
      requestId: randomUUID(),
      requestTimeEpoch: 1_795_492_800_000,
      resourceId: "abc123",
      resourcePath: "/{proxy+}",
      stage: "prod",
    },
    body: body ?? null,
    isBase64Encoded: false,
  };
}

const read = (result: APIGatewayProxyStructuredResultV2) => ({
  status: result.statusCode,
  body: JSON.parse(result.body ?? "null"),
  headers: result.headers ?? {},
});

let p: string;
beforeEach(async () => {
  p = freshPartition();
  const body = JSON.stringify({ queues: { default: 1 } });
  expect((await handlers.partitions(event("POST", `/partitions/${p}/start`, { body }))).statusCode).toBe(200);
});

describe("API Gateway events", () => {
  it("a plain body, a base64 body, and a form's content type are all JSON", async () => {
    const body = JSON.stringify({ name: "hash-file", args: { path: "/etc/hosts" } });
    const plain = read(await handlers.jobs(event("POST", `/partitions/${p}/jobs`, { body })));
    expect([plain.status, plain.headers["content-type"]]).toEqual([202, "application/json"]);
    const encoded = Buffer.from(body).toString("base64");
    const result = await handlers.jobs(event("POST", `/partitions/${p}/jobs`, { body: encoded, base64: true }));
    expect([result.statusCode, result.isBase64Encoded]).toEqual([202, false]);
    expect((await world.store.parked.list(p, { limit: 10 })).jobs).toHaveLength(2);
  });

  it("a job's whole life goes through the jobs function, ids with odd letters too", async () => {
    const at = `/partitions/${p}/jobs`;
    const body = JSON.stringify({ name: "hash-file", args: { path: "/etc/hosts" }, id: "order:1.a", delay: 60 });
    expect(read(await handlers.jobs(event("POST", at, { body })))).toMatchObject({ status: 202, body: { job_id: "order:1.a" } });
    expect(read(await handlers.jobs(event("POST", at, { body })))).toMatchObject({
      status: 409,
      body: { code: "duplicate_job", existing_job_id: "order:1.a" },
      headers: { "content-type": "application/problem+json" },
    });
    // API Gateway hands paths on decoded or not.
    for (const id of ["order:1.a", "order%3A1.a"]) {
      expect(read(await handlers.jobs(event("GET", `${at}/${id}`)))).toMatchObject({ status: 200, body: { state: "parked", job_id: "order:1.a" } });
      expect(read(await handlers.jobs(event("GET", `${at}/${id}/explain`)))).toMatchObject({
        status: 200,
        body: { reasons: [{ code: "parked_until" }, {}] },
      });
    }
    expect(read(await handlers.jobs(event("POST", `${at}/order:1.a/cancel`)))).toMatchObject({ status: 202, body: { state: "cancelled" } });

    await world.store.buried.bury(buriedJob(p, { id: "retry" }));
    const buried = `/partitions/${p}/buried`;
    expect(read(await handlers.jobs(event("GET", `${buried}/retry`)))).toMatchObject({ status: 200, body: { state: "buried", job_id: "retry" } });
    expect(read(await handlers.jobs(event("POST", `${buried}/retry/retry`)))).toMatchObject({ status: 202, body: { job_id: "retry" } });
    expect(read(await handlers.jobs(event("POST", `${buried}/retry`)))).toMatchObject({ status: 202, body: { retried: 0, more: false } });
    expect(read(await handlers.jobs(event("DELETE", `${buried}/retry`)))).toMatchObject({ status: 404, body: { code: "not_buried" } });
  });

  it("problems keep their content type and are no base64", async () => {
    const result = await handlers.partitions(event("POST", `/partitions/${p}/start`, { body: "%7B", base64: false }));
    expect([result.isBase64Encoded, read(result)]).toMatchObject([
      false,
      { status: 400, body: { code: "invalid_json" }, headers: { "content-type": "application/problem+json" } },
    ]);
  });

  it("query parameters arrive, and twice is once too often", async () => {
    const list = read(await handlers.jobs(event("GET", `/partitions/${p}/jobs`, { query: "state=parked&limit=5" })));
    expect(list).toMatchObject({ status: 200, body: { jobs: [], cursor: null } });
    const twice = read(await handlers.jobs(event("GET", `/partitions/${p}/jobs`, { query: "state=parked&limit=5&limit=6" })));
    expect(twice).toMatchObject({ status: 400, body: { field: "limit" } });
  });

  it.each(["a%2Fb", "a%3Fb", "a?b", "a#b", "a%00b", "%zz", "a b", "a%20b", "%F0%9F%92%A9", "ü"])(
    "the path segment %s is one bad name, not another path",
    async (segment) => {
      const answer = read(await handlers.partitions(event("POST", `/partitions/${segment}/stop`)));
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request", field: "partition" } });
    },
  );

  it("a named stage in front of the path is taken off, once", async () => {
    const answer = read(await handlers.partitions(event("GET", `/partitions/${p}`, { stage: "prod" })));
    expect(answer).toMatchObject({ status: 200, body: { id: p } });
    const odd = read(await handlers.partitions(event("GET", `/partitions/${p}`, { stage: "partitions" })));
    expect(odd).toMatchObject({ status: 200, body: { id: p } });
  });

  it("a GET with a body is answered all the same", async () => {
    expect(read(await handlers.tasks(event("GET", "/health", { body: "{}" })))).toMatchObject({ status: 200, body: { status: "ok" } });
  });

  it("an unknown path, a wrong method and a large body are problems", async () => {
    expect(read(await handlers.tasks(event("GET", "/nowhere"))).body.code).toBe("not_found");
    expect(read(await handlers.tasks(event("POST", "/tasks")))).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
    const body = JSON.stringify({ queues: { x: "y".repeat(600_000) } });
    expect(read(await handlers.partitions(event("POST", `/partitions/${p}/start`, { body })))).toMatchObject({ status: 413 });
  });

  it("pausing needs no RabbitMQ; purging says that it is away", async () => {
    expect(read(await handlers.partitions(event("POST", `/partitions/${p}/queues/default/pause`)))).toMatchObject({ status: 200 });
    const purge = read(await handlers.queues(event("POST", `/partitions/${p}/queues/default/purge`)));
    expect(purge).toMatchObject({
      status: 503,
      body: { code: "broker_unavailable", request_id: expect.any(String) },
      headers: { "retry-after": "2" },
    });
  });

  it("a REST API's events (payload 1.0) are answered alike, and may not lead elsewhere", async () => {
    const body = JSON.stringify({ name: "hash-file", args: { path: "/etc/hosts" } });
    const answer = await handlers.jobs(restEvent("POST", `/partitions/${p}/jobs`, { body }));
    expect([answer.statusCode, JSON.parse(answer.body ?? "")]).toEqual([202, { job_id: expect.any(String) }]);
    expect(answer).toMatchObject({ multiValueHeaders: { "content-type": ["application/json"] } });

    const list = await handlers.jobs(restEvent("GET", `/partitions/${p}/jobs`, { query: { state: ["parked"], limit: ["5"] } }));
    expect([list.statusCode, JSON.parse(list.body ?? "").jobs]).toEqual([200, [expect.objectContaining({ name: "hash-file" })]]);
    const twice = await handlers.jobs(restEvent("GET", `/partitions/${p}/jobs`, { query: { state: ["parked"], limit: ["5", "6"] } }));
    expect([twice.statusCode, JSON.parse(twice.body ?? "")]).toMatchObject([400, { field: "limit" }]);

    for (const path of [`/partitions/${p}/jobs/../../other/jobs`, "/partitions/a?b", "/partitions/a#b"])
      expect(read(await handlers.jobs(restEvent("GET", path))).status, path).toBeGreaterThanOrEqual(400);
  });

  it("the document is served", async () => {
    expect(read(await handlers.openapi(event("GET", "/openapi.json")))).toMatchObject({ status: 200, body: { openapi: "3.1.0" } });
  });

  it("a function that is told of the services refuses a pool that none of them is of", async () => {
    vi.stubEnv("ROGER_SERVICES", JSON.stringify([{ pool: "big", service: "WorkerBig", slots: 1, min: 0, max: 2 }]));
    vi.resetModules();
    const { handler } = await import("../../functions/partitions.ts");
    const refused = read(await handler(event("POST", `/partitions/${freshPartition()}/start`, { body: '{"queues":{"default":1}}' })));
    expect(refused).toMatchObject({ status: 400, body: { code: "unknown_pool", field: "queues" } });
    vi.stubEnv("ROGER_SERVICES", "[]");
  });

  it("a function that can't be set up answers 500, and tries again at the next invocation", async () => {
    vi.stubEnv("ROGER_SERVICES", "no JSON");
    vi.resetModules();
    const { handler } = await import("../../functions/tasks.ts");
    const failed = read(await handler(event("GET", "/health")));
    expect(failed).toMatchObject({ status: 500, body: { code: "internal", request_id: expect.any(String) } });
    expect(JSON.stringify(failed.body)).not.toContain("ROGER_SERVICES");
    vi.stubEnv("ROGER_SERVICES", "[]");
    expect(read(await handler(event("GET", "/health"))).status).toBe(200);
  });
});
