import { Hono } from "hono";
import { handle, type LambdaEvent } from "hono/aws-lambda";
import { afterEach, describe, expect, it, vi } from "vitest";
import { newApp } from "../../functions/http.ts";
import { lambda } from "../../functions/lambda.ts";
import { guardTenants, partitionsOf } from "../../functions/tenant.ts";
import { apiEvent } from "../api-event.ts";

const CLAIM = "roger_partitions";
const inner = new Hono().all("*", (c) => c.json({ path: c.req.path, requestId: c.env === undefined ? null : "known" }));
const guarded = handle(guardTenants(inner, CLAIM));

async function ask(method: string, path: string, claim: unknown): Promise<[number | undefined, string | undefined]> {
  const authorizer = claim === undefined ? undefined : { jwt: { claims: { iss: "https://issuer.example.com/", [CLAIM]: claim }, scopes: null } };
  const answer = await guarded(apiEvent(method, path, undefined, authorizer) as unknown as LambdaEvent);
  const { statusCode, body = "{}" } = answer as { statusCode: number; body?: string };
  return [statusCode, JSON.parse(body || "{}").code];
}

describe("a claim", () => {
  it.each([
    ["acme", ["acme"]],
    ["acme globex", ["acme", "globex"]],
    // What API Gateway makes of a list.
    ["[acme globex]", ["acme", "globex"]],
    ["acme,globex", ["acme", "globex"]],
    ['["acme","globex.eu-1"]', ["acme", "globex.eu-1"]],
    [
      ["acme", "globex"],
      ["acme", "globex"],
    ],
    ["*", ["*"]],
    ["", []],
    [undefined, []],
    [true, []],
    [7, []],
    [{ acme: true }, []],
  ])("%j names %j", (claim, names) => {
    expect([...partitionsOf(claim)]).toEqual(names);
  });
});

describe("a tenant's token", () => {
  it.each([
    ["POST", "/partitions/acme/start"],
    ["GET", "/partitions/acme"],
    ["DELETE", "/partitions/acme?force=true"],
    ["POST", "/partitions/acme/jobs"],
    ["POST", "/partitions/acme/queues/mail/purge"],
    ["GET", "/partitions/%61cme"],
    ["HEAD", "/partitions/acme"],
    ["GET", "/health"],
    ["GET", "/openapi.json"],
  ])("may %s %s", async (method, path) => {
    expect((await ask(method, path, "acme other"))[0]).toBe(200);
  });

  it.each([
    ["POST", "/partitions/globex/start"],
    ["POST", "/partitions/acme2/start"],
    ["POST", "/partitions/Acme/start"],
    ["POST", "/partitions/acme%2F../globex/start"],
    ["POST", "/partitions/acme%2Fglobex/start"],
    ["POST", "//partitions/acme/start"],
    ["POST", "/PARTITIONS/acme/start"],
    ["POST", "/partitions//acme/start"],
    ["POST", "/partitions/%zz/start"],
    // What a URL resolves: the guard sees what the app would see.
    ["POST", "/partitions/acme/../globex/start"],
    ["POST", "/partitions/acme/jobs/%2e%2e/%2E%2E/globex/jobs"],
    ["GET", "/partitions"],
    ["GET", "/partitions/"],
    ["GET", "/tasks"],
    ["GET", "/"],
  ])("may not %s %s", async (method, path) => {
    expect(await ask(method, path, "acme other")).toEqual([403, "forbidden"]);
  });

  it.each([undefined, "", "[]", 1, null])("is none with the claim %j", async (claim) => {
    for (const path of ["/partitions/acme", "/health", "/tasks"]) expect(await ask("GET", path, claim)).toEqual([403, "forbidden"]);
  });

  it("may do everything with the claim *", async () => {
    for (const path of ["/partitions/acme", "/partitions", "/tasks", "/anything"]) expect((await ask("GET", path, "*"))[0]).toBe(200);
  });
});

describe("a Lambda", () => {
  afterEach(() => vi.unstubAllEnvs());

  const handlerOf = () => {
    vi.stubEnv("AWS_REGION", "local");
    return lambda((deps) => {
      const app = newApp(deps.log);
      app.all("/partitions/:id/*", (c) => c.json({ id: c.req.param("id") }));
      return app;
    });
  };

  it("looks at the claim that its environment names", async () => {
    vi.stubEnv("ROGER_TENANT_CLAIM", CLAIM);
    const handler = handlerOf();
    const token = { jwt: { claims: { [CLAIM]: "[acme]" }, scopes: null } };
    expect(await handler(apiEvent("GET", "/partitions/acme/jobs", undefined, token))).toMatchObject({ statusCode: 200 });
    expect(await handler(apiEvent("GET", "/partitions/globex/jobs", undefined, token))).toMatchObject({ statusCode: 403 });
    expect(await handler(apiEvent("GET", "/partitions/acme/jobs"))).toMatchObject({ statusCode: 403 });
  });

  it("asks for no token without one: API Gateway has asked for AWS credentials", async () => {
    expect(await handlerOf()(apiEvent("GET", "/partitions/acme/jobs"))).toMatchObject({ statusCode: 200 });
  });

  // A policy on /partitions/mine/* allows the path as it comes; the app must not be led to another one by it.
  it.each([
    "/partitions/mine/jobs/../../yours/jobs",
    "/partitions/mine/jobs/%2e%2E/%2e./yours/jobs",
    "/partitions/mine/jobs\\..\\..\\yours\\jobs",
    "/partitions/mine/jobs/.\t./..\n/yours/jobs",
    "/partitions/mine/./jobs",
  ])("refuses %j", async (path) => {
    expect(await handlerOf()(apiEvent("GET", path))).toMatchObject({ statusCode: 400, body: expect.stringContaining("invalid_request") });
  });

  it.each([
    ["/partitions/mine/jobs/a..b", "mine"],
    ["/partitions/mi ne/jobs", "mi ne"],
    ["/partitions/mi\tne/jobs", "mi\tne"],
    ["/partitions/.../jobs", "..."],
  ])("takes %j as it is", async (path, id) => {
    expect(await handlerOf()(apiEvent("GET", path))).toMatchObject({ statusCode: 200, body: JSON.stringify({ id }) });
  });
});
