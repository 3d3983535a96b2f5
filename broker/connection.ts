import { type ChannelModel, connect, type RecoveringChannelModel } from "amqplib";
import { BrokerUnavailable } from "../core/contract/errors.ts";
import type { Service } from "../core/contract/service.ts";
import { Deadline, unavailable } from "./deadline.ts";
import type { BrokerSettings } from "./settings.ts";

/** The pause between two attempts to connect grows up to here. */
export const LONGEST_PAUSE_MS = 5_000;

/**
 * One connection that is kept up: amqplib connects again after every loss, with jittered delays from 200 ms to 5 s.
 *
 *   new ── start ──> away <──> connected ── stop ──> stopped
 *
 * `model` is set exactly while it is connected. Watchers hear of every change, after it was made.
 */
export class SupervisedConnection implements Service {
  readonly name: string;
  private readonly settings: BrokerSettings;
  private readonly watchers = new Set<() => void>();
  /** Ends the sockets: the only way to be rid of one whose peer is silent, in the handshake or at the goodbye. */
  private readonly sockets = new AbortController();
  private recovering: RecoveringChannelModel | undefined;
  private current: ChannelModel | undefined;
  private alarm: string | undefined;
  /** Why the last attempt to connect failed: who waits in vain is told that, too. */
  private failure: Error | undefined;
  private starting: Promise<void> | undefined;
  private stopping: Promise<void> | undefined;

  constructor(name: string, settings: BrokerSettings) {
    this.name = name;
    this.settings = settings;
  }

  /** The live connection; another object after each reconnect. */
  get model(): ChannelModel | undefined {
    return this.current;
  }

  /** RabbitMQ's reason for taking no messages now, if it has one. */
  get blocked(): string | undefined {
    return this.alarm;
  }

  /** Resolves at once: RabbitMQ may be away when a process starts, and nothing that needs it waits without a deadline. */
  start(): Promise<void> {
    if (this.stopping !== undefined) return this.stopping;
    this.starting ??= this.open();
    return this.starting;
  }

  stop(): Promise<void> {
    this.stopping ??= this.close();
    return this.stopping;
  }

  /** Calls `watcher` after each change of `model` or `blocked`. @returns how to end that */
  watch(watcher: () => void): () => void {
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** For people: the broker may be away, or it is the password or the certificate that one side refuses. */
  get absence(): string {
    if (this.failure === undefined) return "not connected to RabbitMQ";
    // n.b. of a name with two addresses, as localhost is, Node gathers the failures in one error without a message.
    const { message, code } = this.failure as NodeJS.ErrnoException;
    return `not connected to RabbitMQ (the last attempt: ${message || code})`;
  }

  /** @throws BrokerUnavailable when there is no connection before the deadline, the last attempt's failure as its cause */
  async ready(deadline: Deadline): Promise<ChannelModel> {
    if (this.current !== undefined) return this.current;
    if (this.stopping !== undefined) throw new BrokerUnavailable(`the connection ${this.name} is closed`);
    let unwatch = (): void => undefined;
    const connected = new Promise<ChannelModel>((resolve, reject) => {
      unwatch = this.watch(() => {
        if (this.current !== undefined) resolve(this.current);
        else if (this.stopping !== undefined) reject(new BrokerUnavailable(`the connection ${this.name} is closed`));
      });
    });
    try {
      return await deadline.within(connected, "connect to RabbitMQ");
    } catch (error) {
      // n.b. as the cause and not in the message: that is answered to callers over HTTP, whom the broker's address is none of.
      throw this.failure === undefined ? error : new BrokerUnavailable(unavailable("connect to RabbitMQ", error).message, { cause: this.failure });
    } finally {
      unwatch();
    }
  }

  private async open(): Promise<void> {
    const { url, connectDeadlineMs } = this.settings;
    const options = {
      noDelay: true, // Nagle's algorithm costs five times the latency at idle
      timeout: connectDeadlineMs, // a broker out of file handles accepts TCP and never answers
      signal: this.sockets.signal,
      clientProperties: { connection_name: this.name },
      recovery: { initialDelay: 200, maxDelay: LONGEST_PAUSE_MS, factor: 2, jitter: 0.5, waitForConnect: false },
    };
    const recovering = await connect(url, options);
    this.recovering = recovering;
    this.listen(recovering);
  }

  private listen(recovering: RecoveringChannelModel): void {
    const { onEvent } = this.settings;
    const connection = this.name;
    recovering.on("connect", (model) => {
      this.current = model;
      this.failure = undefined;
      onEvent({ kind: "connected", connection });
      this.changed();
    });
    recovering.on("disconnect", (error) => {
      this.current = undefined;
      this.alarm = undefined;
      onEvent({ kind: "disconnected", connection, error });
      this.changed();
    });
    recovering.on("connect-failed", (error) => {
      this.failure = error;
      onEvent({ kind: "connect_failed", connection, error });
    });
    recovering.on("blocked", (reason) => {
      this.alarm = reason;
      onEvent({ kind: "blocked", connection, reason });
      this.changed();
    });
    recovering.on("unblocked", () => {
      this.alarm = undefined;
      onEvent({ kind: "unblocked", connection });
      this.changed();
    });
    // An error is always followed by "disconnect", which carries it. Without a listener it would end the process.
    recovering.on("error", () => undefined);
    recovering.on("handler-error", (error: unknown, event: string) => onEvent({ kind: "listener_failed", listener: `connection ${event}`, error }));
  }

  private async close(): Promise<void> {
    await this.starting;
    try {
      // n.b. amqplib's close never resolves when the peer is silent: not even its heartbeat ends it.
      if (this.recovering !== undefined) await new Deadline(this.settings.closeDeadlineMs).within(this.recovering.close(), "close");
    } catch (error) {
      // Stopping goes on: the socket is ended below, whatever the peer does.
      this.settings.onEvent({ kind: "disconnected", connection: this.name, error: unavailable("close", error) });
    } finally {
      this.current = undefined;
      this.sockets.abort();
      this.changed();
    }
  }

  private changed(): void {
    for (const watcher of [...this.watchers]) watcher();
  }
}
