import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP proxy in front of a server, to cut, stall and refuse connections at will. */
export class TcpProxy {
  private readonly target: URL;
  private readonly server: Server;
  private readonly pairs = new Set<readonly [Socket, Socket]>();
  private readonly swallowed = new WeakSet<Socket>();
  /** Connections ever accepted. */
  accepted = 0;
  private stalled = false;
  private refusing = false;

  private constructor(target: URL) {
    this.target = target;
    this.server = createServer((client) => this.accept(client));
  }

  /** @param url of the server behind it */
  static async listen(url: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(url));
    proxy.server.listen(0, "127.0.0.1");
    await once(proxy.server, "listening");
    return proxy;
  }

  /** The server's URL by way of this proxy. */
  get url(): string {
    const url = new URL(this.target);
    url.hostname = "127.0.0.1";
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  get connections(): number {
    return this.pairs.size;
  }

  /** Ends all connections hard; new ones are accepted. */
  cut(): void {
    for (const pair of this.pairs) {
      for (const socket of pair) socket.resetAndDestroy();
    }
  }

  /** Connections stay open, new ones are accepted, and not a byte passes. */
  stall(): void {
    this.stalled = true;
    for (const [client, server] of this.pairs) {
      client.unpipe(server).pause();
      server.unpipe(client).pause();
    }
  }

  /**
   * Connections there are stay open, and not a byte passes any more, also after `flow`: a balancer has dropped them and
   * told nobody. New ones work.
   */
  swallow(): void {
    for (const [client, server] of this.pairs) {
      client.unpipe(server).resume();
      server.unpipe(client).resume();
      this.swallowed.add(client);
    }
  }

  /** Ends `stall` and `refuse`. */
  flow(): void {
    this.stalled = false;
    this.refusing = false;
    for (const pair of this.pairs) {
      if (!this.swallowed.has(pair[0])) join(pair);
    }
  }

  /** Cuts, and cuts every new connection at once. */
  refuse(): void {
    this.refusing = true;
    this.cut();
  }

  async close(): Promise<void> {
    this.server.close();
    this.cut();
    await once(this.server, "close");
  }

  private accept(client: Socket): void {
    if (this.refusing) {
      client.on("error", () => undefined);
      client.resetAndDestroy();
      return;
    }
    const server = connect(Number(this.target.port || 5672), this.target.hostname);
    const pair = [client, server] as const;
    this.pairs.add(pair);
    this.accepted += 1;
    for (const socket of pair) {
      socket.setNoDelay(true);
      socket.on("error", () => undefined); // cutting is what this is for
      socket.on("close", () => {
        this.pairs.delete(pair);
        for (const other of pair) other.destroy();
      });
    }
    if (!this.stalled) join(pair);
  }
}

function join([client, server]: readonly [Socket, Socket]): void {
  client.pipe(server, { end: false });
  server.pipe(client, { end: false });
  client.once("end", () => server.end());
  server.once("end", () => client.end());
}
