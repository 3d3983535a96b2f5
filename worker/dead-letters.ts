import { setTimeout as wait } from "node:timers/promises";
import type { Clock } from "../core/contract/clock.ts";
import { DEAD_QUEUE, splitBrokerQueue } from "../core/contract/names.ts";
import type { Service } from "../core/contract/service.ts";
import type { Delivery, PartitionChannel } from "../core/job/broker.ts";
import { decodeEnvelope, InvalidEnvelope } from "../core/job/envelope.ts";
import type { Keyring } from "./claims.ts";
import type { Emit } from "./events.ts";
import type { HookRunner } from "./hook-runner.ts";
import { noRun, type Recorder } from "./record.ts";

export interface DeadLettersOptions {
  readonly recorder: Recorder;
  readonly keyring: Keyring;
  readonly hooks: HookRunner;
  readonly clock: Clock;
  readonly emit: Emit;
  openChannel(name: string): PartitionChannel;
}

/**
 * RabbitMQ gives up on a message after 10,000 deliveries and puts it into `roger.dead`; from there it becomes a buried
 * job, where a person finds it. Every task consumes the queue: it is empty in good times.
 */
export class DeadLetters implements Service {
  readonly #options: DeadLettersOptions;
  #channel: PartitionChannel | undefined;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#channel !== undefined) return;
    this.#channel = this.#options.openChannel(DEAD_QUEUE);
    this.#channel.subscribe({
      brokerQueue: DEAD_QUEUE,
      prefetch: 10,
      onDelivery: (delivery) => void this.#bury(delivery),
      // They come again, and burying twice is burying once.
      onLost: () => undefined,
    });
  }

  async stop(): Promise<void> {
    await this.#channel?.close();
    this.#channel = undefined;
  }

  async #bury(delivery: Delivery): Promise<void> {
    const { recorder, keyring, hooks, clock, emit } = this.#options;
    try {
      const envelope = decodeEnvelope(delivery.body);
      const from = splitBrokerQueue(delivery.deadFrom ?? "");
      if (from !== undefined && from.partition !== envelope.partition) throw new InvalidEnvelope("envelope.partition", "is not its queue's");
      const failure = noRun(envelope, clock.now(), "RabbitMQ gave up on it after too many deliveries");
      await recorder.bury(envelope, delivery.body.toString(), "undeliverable", failure);
      if (!(await keyring.abandon(envelope))) throw new Error(`a run of job ${envelope.id} may be alive`);
      delivery.ack();
      hooks.tellBuried(envelope, "undeliverable", failure);
    } catch (error) {
      await this.#buryUnreadable(delivery, error).catch(async (failed: unknown) => {
        emit({ type: "trouble", doing: "burying a dead letter", error: failed });
        // It comes again at once, and the store may be away for long.
        await wait(1_000);
        delivery.nack();
      });
    }
  }

  async #buryUnreadable(delivery: Delivery, error: unknown): Promise<void> {
    if (!(error instanceof InvalidEnvelope)) throw error;
    const { body, brokerQueue, deadFrom = brokerQueue } = delivery;
    await this.#options.recorder.buryUnreadable({ body, brokerQueue: deadFrom }, error.message);
    delivery.ack();
  }
}
