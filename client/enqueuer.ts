import type { Clock } from "../core/contract/clock.ts";
import { BrokerUnavailable } from "../core/contract/errors.ts";
import { brokerQueue } from "../core/contract/names.ts";
import { Window } from "../core/contract/window.ts";
import type { JobPublisher } from "../core/job/broker.ts";
import type { JobSpec } from "../core/job/define-job.ts";
import { DuplicateJob } from "../core/job/duplicate-job.ts";
import { acceptJob } from "../core/job/enqueue.ts";
import { type NewJob, type NewJobOptions, newJob } from "../core/job/new-job.ts";
import type { NewParkedJob, ParkedStore } from "../core/job/parked.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import { Destinations } from "./destinations.ts";
import { asJson } from "./json-args.ts";

/** The way to RabbitMQ; client/line.ts is the real one. */
export interface Line extends JobPublisher {
  close(): Promise<void>;
}

export interface EnqueuerDeps {
  readonly partitions: Pick<PartitionStore, "get">;
  readonly parked: Pick<ParkedStore, "park" | "get">;
  readonly queueKeys: QueueKeyStore;
  /** `undefined`: every job goes by way of the outbox. */
  readonly line: Line | undefined;
  readonly clock: Clock;
}

export interface Enqueued {
  readonly jobId: string;
  /**
   * `queued`: RabbitMQ has it on disk. `parked`: DynamoDB has it, and a worker brings it to its queue when it is due, as a
   * rule within half a second.
   */
  readonly state: "queued" | "parked";
}

/** Jobs on their way to the table at once: the SDK's client has 50 sockets, and says so on the terminal when more wait. */
const PARKS_AT_ONCE = 40;

/**
 * The way of one job from a call to where it is durable.
 *
 * | the job | over RabbitMQ | without |
 * |---|---|---|
 * | due at once, no key | published. DynamoDB is not asked | destination checked; parked |
 * | delayed | destination checked; parked | the same |
 * | with a key | destination checked; the key claimed, the job inside; published; the key told so | … parked; the key told so |
 *
 * "Checked" is a read of the partition, before anything is written: a key is never claimed for a job that has nowhere to go.
 * For an id of the caller's it is also a read of the parked job of that id; see `check`.
 *
 * | RabbitMQ | the job |
 * |---|---|
 * | confirms | is queued |
 * | has no such queue | parked if the partition lists the queue by a new read, else refused |
 * | is away, or has given no answer after two tries | parked: it is accepted all the same |
 *
 * **Twice.** A publish that was not answered may have landed. The copy in the outbox has the same id; a job without a key
 * may then run twice, as after any lost ack. One with a key does not: the second copy finds the key running, at a later
 * attempt, done, or another job's, and is dropped.
 *
 * | the process dies | then |
 * |---|---|
 * | before the publish or the claim | nothing was accepted |
 * | after the publish | the job is queued; its caller does not know |
 * | between publish and park | as RabbitMQ has it: the caller got no answer |
 * | after the claim | core/job/enqueue.ts |
 */
export class Enqueuer {
  readonly #deps: EnqueuerDeps;
  readonly #destinations: Destinations;
  readonly #parks = new Window(PARKS_AT_ONCE);

  constructor(deps: EnqueuerDeps) {
    this.#deps = deps;
    this.#destinations = new Destinations(deps.partitions, deps.clock);
  }

  /** @throws InvalidInput, UnknownPartition, UnknownQueue, DuplicateJob, StoreUnavailable */
  async enqueue(spec: JobSpec, args: unknown, options: NewJobOptions): Promise<Enqueued> {
    const made = this.make(spec, args, options);
    const job = made instanceof Promise ? await made : made;
    if (job.key !== undefined) return this.#keyed(job);
    const published = await this.#publish(job);
    return published === "queued" ? { jobId: job.job.id, state: published } : this.#outbox(job.job, published);
  }

  make(spec: JobSpec, args: unknown, options: NewJobOptions): NewJob | Promise<NewJob> {
    return newJob(spec, asJson(args), options, this.#deps.clock.now());
  }

  /**
   * What is asked of the table before anything is written. Of an earlier life of the caller's own id a parked item may be
   * left, cancelled, which no worker has cleared away though its key is forgotten. Its `onCancel` is still to come, and the
   * new job's first own item would take its place: so the new one waits in its key until that is cleared away.
   * @returns whether the job may go straight to its queue
   * @throws UnknownPartition, UnknownQueue, StoreUnavailable
   */
  async check({ job, key }: NewJob): Promise<boolean> {
    await this.#destinations.check(job.partition, job.queue);
    if (key === undefined || key.takeDone) return true;
    return (await this.#deps.parked.get(job)) === undefined;
  }

  async #outbox(job: NewParkedJob, published: "unroutable" | "not_confirmed"): Promise<Enqueued> {
    const { partition, queue, id } = job;
    // What RabbitMQ does not have is not to be answered from memory.
    await (published === "unroutable" ? this.#destinations.checkNow(partition, queue) : this.#destinations.check(partition, queue));
    await this.#park(job);
    return { jobId: id, state: "parked" };
  }

  async #keyed(made: NewJob): Promise<Enqueued> {
    const { job, key } = made;
    const direct = await this.check(made);
    let state: Enqueued["state"] = "parked";
    const accepted = await acceptJob(this.#deps, job, key, async () => {
      // Unroutable or in doubt: the key is ours, so the outbox may have it, too.
      if (!direct || (await this.#publish(made)) !== "queued") return this.#park(job);
      state = "queued";
      return true;
    });
    if (!accepted.accepted) throw new DuplicateJob(accepted.holder.jobId);
    return { jobId: job.id, state };
  }

  /** `not_confirmed`: RabbitMQ may have it or not. */
  async #publish({ job, traceparent }: NewJob): Promise<"queued" | "unroutable" | "not_confirmed"> {
    const { line } = this.#deps;
    if (line === undefined || job.reason === "delayed") return "not_confirmed";
    const { partition, queue, id, body } = job;
    const message = { brokerQueue: brokerQueue(partition, queue), partition, id, body };
    try {
      return await line.publish(traceparent === undefined ? message : { ...message, traceparent });
    } catch (error) {
      if (error instanceof BrokerUnavailable) return "not_confirmed";
      throw error;
    }
  }

  /** Refused when a later attempt is parked: then the publish in doubt has landed, and the job has run. Or by an earlier life: see `check`. */
  async #park(job: NewParkedJob): Promise<boolean> {
    return (await this.#parks.run(() => this.#deps.parked.park(job))) !== undefined;
  }
}
