import { once } from "node:events";
import { createServer, type Server, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { type Clock, systemClock } from "../core/contract/clock.ts";
import { RogerError } from "../core/contract/errors.ts";
import { problemOf, problemResponse, RequestRefused } from "../functions/problem.ts";

/** One request as it was answered. */
export interface AnsweredRequest {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly durationMs: number;
}

export interface GatewayOptions {
  readonly app: { fetch(request: Request): Response | Promise<Response> };
  /** 0 takes a free one. */
  readonly port: number;
  /** Take the next free port when this one is taken. @default false */
  readonly portMayMove?: boolean;
  /** Told of every answer; what it throws is dropped. */
  readonly onRequest?: (request: AnsweredRequest) => void;
  /** How long `stop` waits for requests under way before it cuts them off. @default 5_000 */
  readonly graceMs?: number;
  /** @default the machine's */
  readonly clock?: Clock;
}

export interface Gateway {
  readonly url: string;
  /** Takes no new request, lets those under way end, closes every connection. May be called twice. */
  stop(): Promise<void>;
}

/** The port is taken, and no other may be used. */
export class PortTaken extends RogerError {
  constructor(port: number, options?: ErrorOptions) {
    super("port_taken", `port ${port} is in use by another program; give another one, or 0 for any`, options);
    this.name = "PortTaken";
  }
}

const HOST = "127.0.0.1";
/** Ports tried from the wanted one up. */
const PORTS_TRIED = 100;

/** API Gateway's place in the local cloud: an HTTP server on 127.0.0.1 over the same apps. @throws PortTaken */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const fetch = observed(options);
  const listener = getRequestListener((request) => fetch(request), { hostname: HOST, errorHandler: notARequest });
  const answers = new WeakMap<Duplex, ServerResponse>();
  const server = createServer({ requireHostHeader: false }, (incoming, outgoing) => {
    answers.set(incoming.socket, outgoing);
    // n.b. the listener answers every failure itself; its promise says nothing more.
    void listener(incoming, outgoing);
  });
  server.on("clientError", (_, socket) => void refuse(socket, answers.get(socket)));
  await listen(server, options.port, options.portMayMove ?? false);
  const { port } = server.address() as AddressInfo;
  let stopped: Promise<void> | undefined;
  return {
    url: `http://${HOST}:${port}`,
    stop: () => {
      stopped ??= close(server, options.graceMs ?? 5_000);
      return stopped;
    },
  };
}

/** What is no request at all (a bad Host header, an impossible URL) gets the same kind of answer as any other. */
function notARequest(): Response {
  const detail = "the request line or a header is malformed or too long, or the body was cut off";
  return problemResponse(problemOf(new RequestRefused("invalid_request", detail)));
}

/**
 * The same for what Node's parser stumbles over, which never becomes a request.
 * @param last the connection's latest answer: in the midst of one, another would be read as a part of it
 */
async function refuse(socket: Duplex, last: ServerResponse | undefined): Promise<void> {
  const answer = notARequest();
  const body = await answer.text();
  const isMidAnswer = last?.headersSent === true && !last.writableFinished;
  if (!socket.writable || isMidAnswer) return void socket.destroy();
  const headers = [...answer.headers, ["content-length", Buffer.byteLength(body)], ["connection", "close"]];
  const head = [`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`, ...headers.map(([name, value]) => `${name}: ${value}`)];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}

function observed({ app, onRequest, clock = systemClock }: GatewayOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    const startedAt = clock.monotonic();
    const response = await app.fetch(request);
    try {
      onRequest?.({
        method: request.method,
        path: new URL(request.url).pathname,
        status: response.status,
        durationMs: clock.monotonic() - startedAt,
      });
    } catch {
      // A listener must not break the answer.
    }
    return response;
  };
}

async function listen(server: Server, port: number, portMayMove: boolean): Promise<void> {
  const last = portMayMove && port !== 0 ? Math.min(port + PORTS_TRIED, 65_535) : port;
  for (let candidate = port; ; candidate++) {
    try {
      server.listen(candidate, HOST);
      await once(server, "listening");
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EADDRINUSE")) throw error;
      if (candidate >= last) throw new PortTaken(port, { cause: error });
    }
  }
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    // n.b. close() ends idle keep-alive connections; one that is busy would be kept alive once more after its answer.
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    server.close((error) => {
      clearTimeout(cut);
      clearInterval(idle);
      if (error) reject(error);
      else resolve();
    });
  });
}
