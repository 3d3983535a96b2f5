import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Service } from "../core/contract/service.ts";

export interface HealthState {
  /** Whether the task may start jobs: its lease is good. */
  readonly ok: boolean;
  readonly boot: string;
  readonly draining: boolean;
  readonly brokerConnected: boolean;
  readonly busy: number;
  readonly slots: number;
}

/**
 * `GET /health`: 200 while the lease is good, 503 otherwise. A broker that is away does not make the task unhealthy:
 * ECS would replace it by one that can't reach the broker either.
 */
export class Health implements Service {
  readonly #port: number;
  readonly #state: () => HealthState;
  #server: Server | undefined;

  constructor(port: number, state: () => HealthState) {
    this.#port = port;
    this.#state = state;
  }

  /** The port it listens on; 0 before it does. */
  get port(): number {
    return (this.#server?.address() as AddressInfo | null)?.port ?? 0;
  }

  async start(): Promise<void> {
    if (this.#server !== undefined) return;
    this.#server = createServer((request, response) => {
      const known = request.url === "/health";
      const state = this.#state();
      response.writeHead(known ? (state.ok ? 200 : 503) : 404, { "content-type": "application/json" });
      response.end(known ? JSON.stringify(state) : undefined);
    });
    this.#server.listen(this.#port);
    await once(this.#server, "listening");
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }
}
