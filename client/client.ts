import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Clock } from "../core/contract/clock.ts";
import { InvalidInput, RogerError } from "../core/contract/errors.ts";
import { checkJobId, checkPartition } from "../core/contract/names.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import { type CancelAnswer, cancelJob } from "../core/job/cancel.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import type { JobSpec } from "../core/job/define-job.ts";
import { UnknownPartition } from "../core/job/destination.ts";
import type { NewJob, NewJobOptions } from "../core/job/new-job.ts";
import type { ParkedStore } from "../core/job/parked.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { TaskStore } from "../core/partition/task-store.ts";
import { type ManyEnqueued, type ManyOptions, ManyRun } from "./enqueue-many.ts";
import { type Enqueued, Enqueuer, type Line } from "./enqueuer.ts";
import { findJob, type JobPlace } from "./job-place.ts";
import { type BatchJob, batchJob, type TransactJob, transactJob } from "./transact-item.ts";

export interface EnqueueOptions extends NewJobOptions {
  /** Ends the waiting, not the enqueueing: after its abort the job may have been enqueued. */
  readonly signal?: AbortSignal;
}

/** One job of many. */
export interface ManyItem<Schema extends StandardSchemaV1> extends Omit<NewJobOptions, "partition"> {
  readonly args: StandardSchemaV1.InferInput<Schema>;
}

export interface EnqueueManyOptions extends ManyOptions {
  readonly partition: string;
}

/** The client was closed: nothing was enqueued. */
export class ClientClosed extends RogerError {
  constructor() {
    super("client_closed", "the client is closed");
    this.name = "ClientClosed";
  }
}

export interface ClientDeps {
  /** The table's name. */
  readonly table: string;
  readonly store: {
    readonly partitions: Pick<PartitionStore, "get" | "announceCancel">;
    readonly parked: Pick<ParkedStore, "park" | "get" | "cancel">;
    readonly buried: Pick<BuriedStore, "get">;
    readonly queueKeys: QueueKeyStore;
    readonly cancels: Pick<CancelStore, "mark" | "get">;
    readonly tasks: Pick<TaskStore, "reports">;
  };
  /** `undefined`: every job goes by way of the outbox. */
  readonly line: Line | undefined;
  readonly clock: Clock;
  /** Ends what the ports above stand on. */
  release(): void;
}

const DEFAULT_WINDOW = 200;
const MOST_WINDOW = 1_000;

/**
 * What an application enqueues with; `connect` makes one. Nothing is opened before it is needed. It may be shared by all of
 * a process, and kept for as long as the process lives; in a Lambda, outside of the handler.
 */
export class Client {
  readonly #deps: ClientDeps;
  readonly #enqueuer: Enqueuer;
  #closing: Promise<void> | undefined;
  #underWay = 0;
  #onIdle: (() => void) | undefined;

  constructor(deps: ClientDeps) {
    this.#deps = deps;
    this.#enqueuer = new Enqueuer({ ...deps.store, line: deps.line, clock: deps.clock });
  }

  /**
   * Enqueues one job. Once this resolves, the job is on disk, in RabbitMQ or in DynamoDB.
   *
   * @throws InvalidInput naming what is wrong; UnknownPartition, UnknownQueue; DuplicateJob when its key or id is taken;
   *   StoreUnavailable when DynamoDB was needed and gave no answer: the job may have been enqueued, and asking again with an id
   *   of your own enqueues it once; `signal`'s reason
   */
  enqueue<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    args: StandardSchemaV1.InferInput<Schema>,
    { signal, ...options }: EnqueueOptions,
  ): Promise<Enqueued> {
    return this.#counted(async () => {
      signal?.throwIfAborted();
      const enqueued = this.#enqueuer.enqueue(spec, args, options);
      return signal === undefined ? enqueued : unlessAborted(enqueued, signal);
    });
  }

  /**
   * Enqueues any number of jobs of one kind, a window of them at once; see `ManyOptions`. Memory stays as it is, however many.
   * Each job is on its own: what is refused does not touch its neighbours.
   *
   * @param items a source that is read as fast as the jobs are taken; it is closed when the whole ends early
   * @throws ManyStopped when a job is refused and there is no `onResult`; the source's own error; `signal`'s reason
   */
  enqueueMany<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    items: Iterable<ManyItem<Schema>> | AsyncIterable<ManyItem<Schema>>,
    { partition, window = DEFAULT_WINDOW, ...options }: EnqueueManyOptions,
  ): Promise<ManyEnqueued> {
    return this.#counted(async () => {
      if (!Number.isSafeInteger(window) || window < 1 || window > MOST_WINDOW) {
        throw new InvalidInput("window", `must be a whole number from 1 to ${MOST_WINDOW}`);
      }
      const run = new ManyRun<ManyItem<Schema>>(
        ({ args, ...item }) => {
          if (this.#closing !== undefined) throw new ClientClosed();
          return this.#enqueuer.enqueue(spec, args, { ...item, partition });
        },
        { ...options, window },
      );
      return run.run(items);
    });
  }

  /**
   * The job as one item of your own DynamoDB transaction, so that it is enqueued exactly if your data is written.
   * @throws as `enqueue`; whether the key is free, though, is the transaction's to find
   */
  toTransactItem<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    args: StandardSchemaV1.InferInput<Schema>,
    options: NewJobOptions,
  ): Promise<TransactJob> {
    return this.#counted(async () => transactJob(this.#deps.table, await this.#checked(spec, args, options)));
  }

  /**
   * The job as one request of your own BatchWriteItem. Only for jobs without a key.
   * @throws as `toTransactItem`
   */
  toBatchItem<Schema extends StandardSchemaV1>(
    spec: JobSpec<Schema>,
    args: StandardSchemaV1.InferInput<Schema>,
    options: NewJobOptions,
  ): Promise<BatchJob> {
    return this.#counted(async () => batchJob(this.#deps.table, await this.#checked(spec, args, options)));
  }

  /**
   * Cancels a job, wherever it is. `cancelled`: it will not run any more. `cancelling`: it runs, or can't be seen from here;
   * whoever has it ends it, unless it ends by itself first.
   * @throws InvalidInput, UnknownPartition, TooManyCancels, StoreUnavailable: ask again
   */
  cancel(partition: string, jobId: string): Promise<CancelAnswer> {
    return this.#counted(async () => {
      checkJob(partition, jobId);
      const answer = await cancelJob({ ...this.#deps.store, clock: this.#deps.clock }, partition, jobId);
      if (answer === undefined) throw new UnknownPartition(partition);
      return answer;
    });
  }

  /** Where a job is, as far as can be known. @throws InvalidInput, StoreUnavailable */
  get(partition: string, jobId: string): Promise<JobPlace> {
    return this.#counted(async () => {
      checkJob(partition, jobId);
      return findJob({ ...this.#deps.store, clock: this.#deps.clock }, partition, jobId);
    });
  }

  /** Lets what was begun come to its end, then closes all connections. May be called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    if (this.#underWay > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    await this.#deps.line?.close();
    this.#deps.release();
  }

  async #checked(spec: JobSpec, args: unknown, options: NewJobOptions): Promise<NewJob> {
    const made = await this.#enqueuer.make(spec, args, options);
    await this.#enqueuer.check(made);
    return made;
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new ClientClosed();
    this.#underWay += 1;
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      if (this.#underWay === 0) this.#onIdle?.();
    }
  }
}

function checkJob(partition: string, jobId: string): void {
  checkPartition(partition);
  checkJobId(jobId, "jobId");
}

/** What comes of `enqueued` after an abort is nobody's any more. */
async function unlessAborted<T>(enqueued: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([enqueued, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
