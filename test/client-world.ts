import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { GetMessage } from "amqplib";
import { inject } from "vitest";
import { z } from "zod";
import { openBroker } from "../broker/broker.ts";
import { Client, type ClientDeps } from "../client/client.ts";
import { BrokerLine } from "../client/line.ts";
import { systemClock } from "../core/contract/clock.ts";
import { PUBLISH_DEADLINE_MS } from "../core/contract/limits.ts";
import { brokerQueue } from "../core/contract/names.ts";
import { jobSpec } from "../core/job/define-job.ts";
import { decodeEnvelope, type Envelope } from "../core/job/envelope.ts";
import { applyCommand, type Command } from "../core/partition/commands.ts";
import { openStore, type Store } from "../store/store.ts";
import { BrokerWorld } from "./broker-world.ts";
import type { TableWorld } from "./contract/suites/table.ts";

/** A plain job. */
export const greet = jobSpec({ name: "greet", args: z.object({ to: z.string() }) });
/** A job with a queue key. */
export const bill = jobSpec({ name: "bill", args: z.object({ invoice: z.string() }), queueKey: ({ invoice }) => `invoice:${invoice}` });

/** A client on a table and a RabbitMQ of the test's own making. */
export class ClientWorld {
  readonly rabbit = new BrokerWorld();
  readonly document: DynamoDBDocumentClient;
  readonly table: string;
  readonly store: Store;
  /** Names of the requests that the client under test has sent to DynamoDB. */
  readonly requests: string[] = [];
  readonly #deadlineMs: number;
  readonly #clients: Client[] = [];

  /** @param deadlineMs how long its clients wait for RabbitMQ: whoever is late goes through the outbox, on a busy machine, too */
  constructor({ document, table }: TableWorld, deadlineMs: number = PUBLISH_DEADLINE_MS) {
    this.#deadlineMs = deadlineMs;
    this.document = document;
    this.table = table;
    this.store = openStore({ document, table, clock: systemClock });
    document.middlewareStack.add(
      (next, context) => (args) => {
        this.requests.push(String(context.commandName));
        return next(args);
      },
      { step: "initialize", name: "noteRequests", priority: "high" },
    );
  }

  get partition(): string {
    return this.rabbit.partition;
  }

  /** @param url of RabbitMQ; `undefined` for a client that has none */
  client(url: string | undefined = inject("amqpUrl"), change: Partial<ClientDeps> = {}): Client {
    const open = () =>
      openBroker({
        url: `${url}?heartbeat=0`,
        name: `client ${this.partition}`,
        publishDeadlineMs: this.#deadlineMs,
        connectDeadlineMs: this.#deadlineMs,
        rpcDeadlineMs: this.#deadlineMs,
        closeDeadlineMs: 300,
      });
    const line = url === undefined ? undefined : new BrokerLine(open, systemClock);
    const client = new Client({ table: this.table, store: this.store, line, clock: systemClock, release: () => undefined, ...change });
    this.#clients.push(client);
    return client;
  }

  /** A client without RabbitMQ. */
  offline(change: Partial<ClientDeps> = {}): Client {
    return this.client(undefined, { line: undefined, ...change });
  }

  async command(command: Command, partition = this.partition): Promise<void> {
    const before = await this.store.partitions.get(partition);
    await this.store.partitions.commit(before, applyCommand(partition, before, command));
  }

  /** The partition with these queues, in the table only. */
  async start(...queues: string[]): Promise<void> {
    await this.command({ type: "start", pools: { default: Object.fromEntries(queues.map((queue) => [queue, 5])) } });
    this.requests.length = 0;
  }

  /** As `start`, the queues also in RabbitMQ. */
  async startAndDeclare(...queues: string[]): Promise<void> {
    await this.start(...queues);
    const broker = await this.rabbit.broker();
    for (const queue of queues) await broker.admin.ensure(this.rabbit.queue(queue));
  }

  /** All messages of a queue, taken out of it. */
  async messages(queue = "default"): Promise<GetMessage[]> {
    const channel = await this.rabbit.channel();
    const messages: GetMessage[] = [];
    for (;;) {
      const message = await channel.get(brokerQueue(this.partition, queue), { noAck: true });
      if (message === false) return messages;
      messages.push(message);
    }
  }

  async queued(queue = "default"): Promise<Envelope[]> {
    return (await this.messages(queue)).map(({ content }) => decodeEnvelope(content));
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.rabbit.close();
  }
}
