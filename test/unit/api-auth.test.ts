import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it, onTestFinished } from "vitest";
import { RogerApi } from "../../client/api.ts";
import { authorization, type Credentials, gatewayRegion } from "../../client/api-auth.ts";

const KEYS: Credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };

interface Signed {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const sha256 = (data: string) => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
const encode = (part: string) => encodeURIComponent(part).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** What AWS computes of a request that claims to be signed: written after its documentation, and of nothing else. */
function expectedSignature({ method, url, headers, body }: Signed, secret: string): string {
  const [, scope = "", names = ""] = /Credential=[^/]+\/([^,]+), ?SignedHeaders=([^,]+)/.exec(headers.authorization ?? "") ?? [];
  const path = url.pathname.split("/").map(encode).join("/");
  const query = [...url.searchParams]
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .toSorted(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : 1))
    .map((pair) => pair.join("="))
    .join("&");
  const signed = names.split(";").map((name) => `${name}:${(headers[name] ?? "").trim().replace(/\s+/g, " ")}\n`);
  const canonical = [method, path, query, signed.join(""), names, sha256(body)].join("\n");
  const [date = "", region = "", service = "", end = ""] = scope.split("/");
  const toSign = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, sha256(canonical)].join("\n");
  const key = [date, region, service, end].reduce<string | Buffer>((last, part) => hmac(last, part), `AWS4${secret}`);
  return hmac(key, toSign).toString("hex");
}

/** An API Gateway that keeps what it was sent. */
async function gateway(answer: { status: number; body: unknown }): Promise<{ url: string; received: Signed[] }> {
  const received: Signed[] = [];
  const keep = async (request: IncomingMessage) => {
    const url = new URL(request.url ?? "", `http://${request.headers.host}`);
    received.push({ method: request.method ?? "", url, headers: request.headers as Record<string, string>, body: await text(request) });
  };
  const server = createServer((request, response) => {
    void keep(request).then(() => response.writeHead(answer.status, { "content-type": "application/json" }).end(JSON.stringify(answer.body)));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

describe("the check of signatures in this test", () => {
  it("agrees with AWS's own example (get-vanilla of its test suite)", () => {
    const headers = {
      host: "example.amazonaws.com",
      "x-amz-date": "20150830T123600Z",
      authorization: "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=none",
    };
    const request = { method: "GET", url: new URL("https://example.amazonaws.com/"), headers, body: "" };
    expect(expectedSignature(request, KEYS.secretAccessKey)).toBe("5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  });
});

describe("calls of an API on AWS", () => {
  it.each([
    ["https://abcdef1234.execute-api.eu-west-1.amazonaws.com", "eu-west-1"],
    ["https://abcdef1234.execute-api.cn-north-1.amazonaws.com.cn/prod", "cn-north-1"],
    ["https://jobs.example.com", undefined],
    ["http://127.0.0.1:3000", undefined],
    // Whoever owns that domain must not be shown a signature.
    ["https://abcdef1234.execute-api.eu-west-1.amazonaws.com.example.com", undefined],
  ])("%s is in %s", (url, region) => {
    expect(gatewayRegion(url)).toBe(region);
    expect(authorization(url, {}) === undefined).toBe(region === undefined);
  });

  it("are signed as AWS wants it: method, path, query, body and token", async () => {
    const { url, received } = await gateway({ status: 200, body: { queues: [], jobs: [], state: "unknown", status: "deleted" } });
    const authorize = authorization(url, { region: "eu-west-1" }, async () => ({ ...KEYS, sessionToken: "the/session+token==" }));
    const api = new RogerApi(url, { authorize });
    await api.start("acme.eu-1", { queues: { default: 10 } }, { wait: 5 });
    await api.jobs("acme", { state: "parked", limit: 5, cursor: "a+b/c=~*'()" });
    await api.job("acme", "id:with:colons");
    await api.delete("acme", { force: true });
    expect(received.map(({ method, url: { pathname } }) => `${method} ${pathname}`)).toEqual([
      "POST /partitions/acme.eu-1/start",
      "GET /partitions/acme/jobs",
      "GET /partitions/acme/jobs/id%3Awith%3Acolons",
      "DELETE /partitions/acme",
    ]);
    for (const request of received) {
      const { authorization: header = "" } = request.headers;
      expect(header).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-west-1\/execute-api\/aws4_request, /);
      expect(header).toContain("x-amz-security-token");
      expect(/Signature=(\w+)$/.exec(header)?.[1], `${request.method} ${request.url}`).toBe(expectedSignature(request, KEYS.secretAccessKey));
    }
  });

  it("carry a token instead, if there is one", async () => {
    const { url, received } = await gateway({ status: 200, body: { pools: [], tasks: [] } });
    await new RogerApi(url, { authorize: authorization(url, { token: "abc", region: "eu-west-1" }) }).tasks();
    expect(received[0]?.headers.authorization).toBe("Bearer abc");
  });

  it("say so when there are no credentials, and when they don't suffice", async () => {
    const { url, received } = await gateway({ status: 403, body: { message: "Forbidden" } });
    const none = authorization(url, { region: "eu-west-1" }, () => Promise.reject(new Error("Could not load credentials from any providers")));
    await expect(new RogerApi(url, { authorize: none }).tasks()).rejects.toThrow("credentials: the API asks for AWS credentials: Could not load");
    expect(received).toEqual([]);
    const authorize = authorization(url, { region: "eu-west-1" }, async () => KEYS);
    await expect(new RogerApi(url, { authorize }).tasks()).rejects.toMatchObject({
      code: "forbidden",
      status: 403,
      detail: expect.stringContaining("Forbidden"),
    });
  });

  it.each([
    [403, { Message: "User: arn:aws:iam::123456789012:user/a is not authorized" }, "forbidden", /let this caller in: User: arn/],
    [429, { message: "Too Many Requests" }, "unexpected_answer", /answered 429 and nothing that Roger would say: Too Many Requests$/],
    [502, { message: ["odd"] }, "unexpected_answer", /answered 502 and nothing that Roger would say$/],
  ])("that API Gateway answers itself, with %i, are told in its words: %j", async (status, body, code, detail) => {
    const { url } = await gateway({ status, body });
    await expect(new RogerApi(url).tasks()).rejects.toMatchObject({ code, status, detail: expect.stringMatching(detail) });
  });

  it.each([[{ message: "hello" }], [["tasks"]], ["tasks"], [null]])(
    "that another program answers, and well, are no answer of Roger's: %j",
    async (body) => {
      const { url } = await gateway({ status: 200, body });
      await expect(new RogerApi(url).tasks()).rejects.toMatchObject({
        code: "unexpected_answer",
        detail: expect.stringMatching(/\/tasks answered 200 and nothing that Roger would say/),
      });
    },
  );

  it.each(["a\nb", "käse", "two words", ""])("carry no token that a header can't: %j", (token) => {
    expect(() => authorization("http://127.0.0.1:1", { token })).toThrow("token: a bearer token (ROGER_API_TOKEN) is made of");
  });

  it("are not signed where nobody asks", async () => {
    const { url, received } = await gateway({ status: 200, body: { pools: [], tasks: [] } });
    await new RogerApi(url, { authorize: authorization(url, {}) }).tasks();
    expect(received[0]?.headers.authorization).toBeUndefined();
  });
});
