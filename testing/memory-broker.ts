import { BrokerUnavailable } from "../core/contract/errors.ts";
import type { Broker, JobPublisher, QueueAdmin } from "../core/job/broker.ts";
import { asPort, type Hook, NO_HOOK } from "./calls.ts";
import { MemoryChannel } from "./memory-channel.ts";
import type { MemoryRabbit } from "./memory-rabbit.ts";
import type { MemoryState } from "./memory-state.ts";
import { declareQueue, depthOf, pushMessage, returnMessage, takeMessage } from "./queue-state.ts";

/**
 * One process's connection to RabbitMQ. How it is lost is the test's to say, in the three steps that it has in truth:
 *
 * ```
 *   up ── sever ──▶ RabbitMQ has its messages back, the process does not know yet ── notice ──▶ away ── reconnect ──▶ up
 * ```
 * Between `sever` and `notice` the process goes on with deliveries that others have been given, too.
 */
export class MemoryBroker implements Broker {
  readonly publisher: JobPublisher;
  readonly admin: QueueAdmin;
  readonly #rabbit: MemoryRabbit;
  readonly #hook: Hook;
  readonly #channels = new Set<MemoryChannel>();
  #connection: "up" | "severed" | "away" = "up";
  #stopped = false;

  constructor(rabbit: MemoryRabbit, hook: Hook = NO_HOOK) {
    this.#rabbit = rabbit;
    this.#hook = hook;
    this.publisher = asPort<JobPublisher>(
      "publisher",
      {
        publish: ({ brokerQueue, partition, id, body, traceparent }) => {
          const message = { id, partition, body, ...(traceparent === undefined ? {} : { traceparent }), returns: 0 };
          if (!pushMessage(this.#reach(), brokerQueue, message)) return "unroutable";
          rabbit.changed();
          return "queued";
        },
      },
      hook,
    );
    this.admin = this.#makeAdmin();
  }

  get connected(): boolean {
    return this.#connection !== "away" && !this.#stopped;
  }

  /** Memory has no alarm. */
  get takesMessages(): boolean {
    return this.connected;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#channels].map((channel) => channel.close()));
  }

  partition(_id: string): MemoryChannel {
    if (this.#stopped) throw new BrokerUnavailable("the broker is closed");
    const channel = new MemoryChannel(this.#rabbit, this.#hook, this.#connection === "up", () => this.#channels.delete(channel));
    this.#channels.add(channel);
    return channel;
  }

  /** RabbitMQ gives the connection up: its messages go back, nothing that is sent arrives any more. */
  sever(): void {
    this.#connection = "severed";
    for (const channel of this.#channels) channel.sever();
  }

  /** The process finds out that its connection is gone. */
  notice(): void {
    if (this.#connection === "up") this.sever();
    this.#connection = "away";
    for (const channel of this.#channels) channel.notice();
  }

  reconnect(): void {
    if (this.#connection !== "away") this.notice();
    this.#connection = "up";
    for (const channel of this.#channels) channel.reconnect();
  }

  #makeAdmin(): QueueAdmin {
    const rabbit = this.#rabbit;
    return asPort<QueueAdmin>(
      "admin",
      {
        ensure: (name) => {
          declareQueue(this.#reach(), name);
        },
        depth: (name) => {
          const queue = this.#reach().queues[name];
          return queue === undefined ? undefined : depthOf(queue);
        },
        purge: (name) => {
          const queue = this.#reach().queues[name];
          if (queue === undefined) return undefined;
          return queue.returned.splice(0).length + queue.fresh.splice(0).length;
        },
        peek: (name, limit) => this.#peek(name, limit),
        remove: (name) => {
          this.#reach();
          rabbit.removeQueue(name);
        },
      },
      this.#hook,
    );
  }

  #peek(name: string, limit: number): Buffer[] | undefined {
    const state = this.#reach();
    if (state.queues[name] === undefined) return undefined;
    const taken = Array.from({ length: limit }, () => takeMessage(state, name)).filter((message) => message !== undefined);
    for (const { tag } of taken) returnMessage(state, name, tag);
    return taken.map(({ message }) => Buffer.from(message.body));
  }

  /** @throws BrokerUnavailable when nothing that this process sends arrives */
  #reach(): MemoryState {
    if (this.#stopped) throw new BrokerUnavailable("the broker is closed");
    if (this.#connection !== "up") throw new BrokerUnavailable("not connected to RabbitMQ");
    return this.#rabbit.state;
  }
}
