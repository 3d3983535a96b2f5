import type { StandardSchemaV1 } from "@standard-schema/spec";
import { Client, type ClientDeps, type EnqueueManyOptions, type EnqueueOptions, type ManyItem } from "../client/client.ts";
import type { ManyEnqueued } from "../client/enqueue-many.ts";
import type { Enqueued } from "../client/enqueuer.ts";
import { asJson } from "../client/json-args.ts";
import type { BatchJob, TransactJob } from "../client/transact-item.ts";
import { InvalidInput } from "../core/contract/errors.ts";
import type { JobSpec } from "../core/job/define-job.ts";
import { type NewJobOptions, newJob } from "../core/job/new-job.ts";
import type { VirtualClock } from "./clock.ts";

export interface TestClientOptions extends ClientDeps {
  readonly clock: VirtualClock;
  /** A job is about to be enqueued there. */
  onDestination(partition: string, queue: string): void;
  /** Jobs have been enqueued. */
  onEnqueued(): Promise<void>;
}

/** The real client, which tells the kit before and after it enqueues. */
export class TestClient extends Client {
  readonly #options: TestClientOptions;

  constructor(options: TestClientOptions) {
    super(options);
    this.#options = options;
  }

  override async enqueue<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    args: StandardSchemaV1.InferInput<Schema>,
    options: EnqueueOptions,
  ): Promise<Enqueued> {
    await this.#announce(spec, args, options);
    const enqueued = await super.enqueue(spec, args, options);
    await this.#options.onEnqueued();
    return enqueued;
  }

  override async enqueueMany<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    items: Iterable<ManyItem<Schema>> | AsyncIterable<ManyItem<Schema>>,
    options: EnqueueManyOptions,
  ): Promise<ManyEnqueued> {
    const enqueued = await super.enqueueMany(spec, this.#announced(spec, items, options.partition), options);
    await this.#options.onEnqueued();
    return enqueued;
  }

  override async toTransactItem<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    args: StandardSchemaV1.InferInput<Schema>,
    options: NewJobOptions,
  ): Promise<TransactJob> {
    await this.#announce(spec, args, options);
    return super.toTransactItem(spec, args, options);
  }

  override async toBatchItem<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    args: StandardSchemaV1.InferInput<Schema>,
    options: NewJobOptions,
  ): Promise<BatchJob> {
    await this.#announce(spec, args, options);
    return super.toBatchItem(spec, args, options);
  }

  async *#announced<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    items: Iterable<ManyItem<Schema>> | AsyncIterable<ManyItem<Schema>>,
    partition: string,
  ): AsyncGenerator<ManyItem<Schema>> {
    for await (const item of items) {
      await this.#announce(spec, item.args, { ...item, partition });
      yield item;
    }
  }

  async #announce(spec: JobSpec, args: unknown, options: NewJobOptions): Promise<void> {
    try {
      const { job } = await newJob(spec, asJson(args), options, this.#options.clock.now());
      this.#options.onDestination(job.partition, job.queue);
    } catch (error) {
      // The client finds the same a moment later, and its answer is the one that counts.
      if (!(error instanceof InvalidInput)) throw error;
    }
  }
}
