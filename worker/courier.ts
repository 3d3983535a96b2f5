import type { Clock } from "../core/contract/clock.ts";
import { LIMITS, type Timings } from "../core/contract/limits.ts";
import { brokerQueue } from "../core/contract/names.ts";
import type { JobPublisher, OutgoingJob, Published, QueueAdmin } from "../core/job/broker.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import { deliverOutbox } from "../core/job/enqueue.ts";
import { decodeEnvelope, type Envelope, envelopeOf, traceOf } from "../core/job/envelope.ts";
import { lifeOf } from "../core/job/life.ts";
import type { DueRef, ParkedJob, ParkedRef, ParkedStore } from "../core/job/parked.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";
import { listedQueues, type Partition } from "../core/partition/partition.ts";
import type { Keyring } from "./claims.ts";
import type { Emit } from "./events.ts";
import type { HookRunner } from "./hook-runner.ts";
import { QueueHeldBack } from "./patient-publisher.ts";
import { refOf } from "./record.ts";

/** The partitions as this task knows them. */
export interface PartitionRows {
  get(id: string): Partition | undefined;
  /** Reads one row, strongly consistent. */
  refresh(id: string): Promise<Partition | undefined>;
}

export interface CourierOptions {
  readonly parked: ParkedStore;
  readonly queueKeys: QueueKeyStore;
  readonly cancels: Pick<CancelStore, "hit">;
  readonly keyring: Keyring;
  readonly hooks: HookRunner;
  readonly publisher: JobPublisher;
  readonly admin: Pick<QueueAdmin, "ensure">;
  readonly rows: PartitionRows;
  readonly clock: Clock;
  readonly timings: Pick<Timings, "pumpClaim">;
  readonly emit: Emit;
}

/** After the broker failed; while the queue of a job can't be made, at least and at most; while a run of a cancelled job may be alive. */
const RETRY_MS = { broker: 1_000, noQueue: 5_000, noQueueMost: LIMITS.mostWaitMs, cancelled: 2_000 } as const;

const HIT_TRIES = 3;

/**
 * Brings one parked job whose time has come on its way: into its queue, as a rule.
 *
 * | step | dies after | then |
 * |---|---|---|
 * | 1. the index says it may be due | | |
 * | 2. claim: `due` moves 30 s on, new `rev`, one conditional write that returns the job | 2 | due again in 30 s: published then |
 * | 3. publish what the claim returned, confirmed | 3 | published a second time in 30 s: at-least-once |
 * | 4. delete, if `rev` is still the claim's | 4 | done |
 *
 * The claim is why two pumps on one key of the index (a deploy, a task that comes or goes) publish a job once.
 * If the item was written anew in between, the delete is refused and that item lives on by its own `due`.
 *
 * A `cancelled` job is not published but forgotten: its keys are freed (those of its own life: a later one with the same id is
 * not its business), its marker hit, then the item deleted; each step may be repeated. A queue key that is its own outbox is
 * parked (core/job/enqueue.ts).
 */
export class Courier {
  readonly #options: CourierOptions;

  constructor(options: CourierOptions) {
    this.#options = options;
  }

  /** @throws StoreUnavailable */
  async bring(due: DueRef): Promise<void> {
    const { parked, queueKeys, clock, timings } = this.#options;
    const now = clock.now();
    if (due.kind === "queue_key") await deliverOutbox({ queueKeys, parked }, due.ref, now, now + timings.pumpClaim);
    else await this.#bringParked(due.ref, now);
  }

  async #bringParked(ref: ParkedRef, now: number): Promise<void> {
    const { parked, clock, timings, emit } = this.#options;
    const job = await parked.claim(ref, now, now + timings.pumpClaim);
    if (job === undefined) return;
    if (job.reason === "cancelled" || (await this.#belongsToNobody(job))) return this.#forget(job);
    try {
      if ((await this.#publish(job)) === "queued") await parked.remove(ref, job.rev);
      else await parked.postpone(ref, job.rev, clock.now() + Math.min(RETRY_MS.noQueueMost, Math.max(RETRY_MS.noQueue, now - job.since)));
    } catch (error) {
      // A queue that is left alone was reported when it began to fail.
      if (!(error instanceof QueueHeldBack)) emit({ type: "trouble", doing: `publishing the parked job ${job.id}`, error });
      const retryMs = error instanceof QueueHeldBack ? error.retryMs : RETRY_MS.broker;
      await parked.postpone(ref, job.rev, clock.now() + Math.ceil(retryMs));
    }
  }

  /**
   * Accepted in the instant in which its partition was deleted: it goes the way of all that belonged to it. Asked of the
   * table: our copy may be a tombstone that a start has replaced meanwhile, and this job its first.
   */
  async #belongsToNobody({ partition }: ParkedJob): Promise<boolean> {
    const { rows } = this.#options;
    return rows.get(partition)?.status === "deleted" && (await rows.refresh(partition))?.status === "deleted";
  }

  async #forget(job: ParkedJob): Promise<void> {
    const { parked, keyring, hooks, clock, emit } = this.#options;
    const envelope = decodeEnvelope(job.body);
    if (!(await keyring.abandon(envelope))) {
      await parked.postpone(job, job.rev, clock.now() + RETRY_MS.cancelled);
      return;
    }
    // Told at once: nobody else will be.
    if (job.reason === "cancelled" && (await this.#hit(job, envelope))) {
      emit({ type: "job_cancelled", job: refOf(envelope) });
      hooks.tell("onCancel", envelope, ({ onCancel }, hooked) => onCancel?.(hooked));
    }
    await parked.remove(job, job.rev);
  }

  /** Asked again in the same words when there is no answer: the next round's words would be another's. */
  async #hit({ partition, rev }: ParkedJob, envelope: Envelope): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#options.cancels.hit(partition, lifeOf(envelope), rev);
      } catch (error) {
        if (tries >= HIT_TRIES) throw error;
      }
    }
  }

  /** A queue that is missing is declared, but only while its partition runs: a deleted one must not come back. */
  async #publish(job: ParkedJob): Promise<Published> {
    const { publisher, admin, rows } = this.#options;
    const message = messageOf(job);
    const published = await publisher.publish(message);
    if (published === "queued") return published;
    const lists = (row: Partition | undefined): boolean => row?.status === "running" && listedQueues(row).includes(job.queue);
    // Our copy may be a moment older than the start that makes the difference, and the next try be ten minutes away.
    if (!lists(rows.get(job.partition)) && !lists(await rows.refresh(job.partition))) return published;
    await admin.ensure(message.brokerQueue);
    return publisher.publish(message);
  }
}

function messageOf({ partition, queue, id, body }: ParkedJob): OutgoingJob {
  const envelope = envelopeOf(body);
  return { brokerQueue: brokerQueue(partition, queue), partition, id, body, ...(envelope && traceOf(envelope)) };
}
