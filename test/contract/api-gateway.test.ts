import { once } from "node:events";
import { Agent, request } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { readBody } from "../../functions/body.ts";
import { newApp } from "../../functions/http.ts";
import { NoBody } from "../../functions/requests.ts";
import { type AnsweredRequest, type Gateway, type GatewayOptions, PortTaken, startGateway } from "../../local/gateway.ts";
import { recordedLog } from "../api-world.ts";

const started: Gateway[] = [];
afterEach(async () => {
  for (const gateway of started.splice(0)) await gateway.stop();
});

async function gateway(change: Partial<GatewayOptions> = {}, log = recordedLog()): Promise<Gateway> {
  const app = newApp(log);
  app.get("/hello", (c) => c.json({ hello: "you" }));
  app.post("/body", async (c) => c.json(await readBody(c, NoBody)));
  const running = await startGateway({ app, port: 0, ...change });
  started.push(running);
  return running;
}

/** What comes back for bytes that no HTTP client would send. */
async function raw(url: string, bytes: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  socket.end(bytes);
  return text(socket);
}

describe("the local gateway", () => {
  it("answers on 127.0.0.1 and tells of each answer; a listener that throws changes nothing", async () => {
    const told: AnsweredRequest[] = [];
    const { url } = await gateway({
      onRequest: (answered) => {
        told.push(answered);
        throw new Error("a listener");
      },
    });
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await (await fetch(`${url}/hello`)).json()).toEqual({ hello: "you" });
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
    expect(told).toMatchObject([
      { method: "GET", path: "/hello", status: 200, durationMs: expect.any(Number) },
      { path: "/nowhere", status: 404 },
    ]);
  });

  it("stops with keep-alive connections open, and twice", async () => {
    const { url, stop } = await gateway();
    const agent = new Agent({ keepAlive: true });
    const call = request(`${url}/hello`, { agent }).end();
    const [response] = await once(call, "response");
    response.resume();
    await once(response, "end");
    await Promise.all([stop(), stop()]);
    await expect(fetch(`${url}/hello`)).rejects.toThrow();
    agent.destroy();
  });

  it("lets a request under way end, and cuts it off after the grace", async () => {
    const begun = Promise.withResolvers<void>();
    const release = Promise.withResolvers<Response>();
    const app = {
      fetch: () => {
        begun.resolve();
        return release.promise;
      },
    };
    const patient = await gateway({ app });
    const answer = fetch(patient.url);
    await begun.promise;
    const stopping = patient.stop();
    release.resolve(new Response("done"));
    expect(await (await answer).text()).toBe("done");
    await stopping;

    const hasty = await gateway({ app: { fetch: () => new Promise(() => {}) }, graceMs: 50 });
    const cut = fetch(hasty.url).catch((error: unknown) => error);
    await hasty.stop();
    expect(await cut).toBeInstanceOf(Error);
  });

  it("says that its port is taken, or takes the next free one", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    await expect(gateway({ port })).rejects.toThrow(PortTaken);
    await expect(gateway({ port })).rejects.toThrow(`port ${port} is in use`);
    const moved = await gateway({ port, portMayMove: true });
    expect(Number(new URL(moved.url).port)).toBeGreaterThan(port);
    other.close();
  });

  it("answers malformed requests and bodies too large with problems, and lives on", async () => {
    const { url } = await gateway();
    expect(await raw(url, "GET /hello HTTP/1.1\r\nHost: a b c\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 [\s\S]*"invalid_request"/);
    for (const bytes of ["nonsense\r\n\r\n", `GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`]) {
      expect(await raw(url, bytes)).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n[\s\S]*application\/problem\+json[\s\S]*"invalid_request"/);
    }
    expect(await raw(url, "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 /);
    const tooLarge = await fetch(`${url}/body`, { method: "POST", body: "x".repeat(600_000) });
    expect([tooLarge.status, ((await tooLarge.json()) as { code: string }).code]).toEqual([413, "body_too_large"]);
    // Without a content-length the bytes are counted as they come.
    const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(64 * 1024)) });
    const streamed = await fetch(`${url}/body`, { method: "POST", body: endless, duplex: "half" } as RequestInit).catch(() => undefined);
    expect(streamed?.status ?? 413).toBe(413);
    expect((await fetch(`${url}/hello`)).status).toBe(200);
  });

  it("breaks an answer off, rather than answer within it, when what follows on its connection is no request", async () => {
    const half = new ReadableStream({ start: (controller) => controller.enqueue(Buffer.from("half")) });
    const { url } = await gateway({ app: { fetch: () => new Response(half) } });
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const said: string[] = [];
    socket.on("data", (bytes) => {
      said.push(String(bytes));
      if (said.join("").includes("half")) socket.write("nonsense\r\n\r\n");
    });
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(socket, "close");
    expect(said.join("")).toMatch(/^HTTP\/1\.1 200 [\s\S]*half\s*$/);
  });

  it("takes a caller that goes away in the midst of a body for no failure of its own", async () => {
    const log = recordedLog();
    const answered = Promise.withResolvers<AnsweredRequest>();
    const { url } = await gateway({ onRequest: answered.resolve }, log);
    await raw(url, "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{}");
    expect((await answered.promise).status).toBe(400);
    expect(log.lines).toEqual([]);
  });
});
