import type { Clock } from "../core/contract/clock.ts";
import { LIMITS, type Timings } from "../core/contract/limits.ts";
import { brokerQueue } from "../core/contract/names.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import { forEachWithin } from "../core/contract/window.ts";
import type { JobPublisher, Published, QueueAdmin } from "../core/job/broker.ts";
import type { ParkedJob, ParkedRef, ParkedStore } from "../core/job/parked.ts";
import { listedQueues } from "../core/partition/partition.ts";
import type { Emit } from "./events.ts";
import type { PartitionWatch } from "./partition-watch.ts";
import type { Roster } from "./roster.ts";

export interface PumpOptions {
  readonly parked: ParkedStore;
  readonly publisher: JobPublisher;
  readonly admin: Pick<QueueAdmin, "ensure">;
  readonly watch: PartitionWatch;
  readonly roster: Roster;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  /** Whether there is any use in trying: the lease is good and the broker is there. */
  mayPump(): boolean;
}

/** Due jobs taken from one key of the index in one round. */
const BATCH = 100;
/** Jobs on their way to the broker at once. */
const WIDTH = 50;
/** After the broker failed, and while the queue of a job can't be made. */
const RETRY_MS = { broker: 1_000, noQueue: 5_000 } as const;

/**
 * Brings parked jobs whose time has come to their queues.
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
 */
export class Pump implements Service {
  readonly #options: PumpOptions;
  readonly #ticker: Ticker;

  constructor(options: PumpOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: options.timings.pump,
      round: () => this.#round(),
      onError: (error) => options.emit({ type: "trouble", doing: "pumping parked jobs", error }),
    });
  }

  start(): Promise<void> {
    return this.#ticker.start();
  }

  stop(): Promise<void> {
    return this.#ticker.stop();
  }

  async #round(): Promise<void> {
    const { mayPump, roster, parked, clock } = this.#options;
    if (!mayPump()) return;
    let full = false;
    for (let shard = 0; shard < LIMITS.dueShards; shard++) {
      if (!roster.owns(`due/${shard}`)) continue;
      const refs = await parked.dueRefs(shard, clock.now(), BATCH);
      await forEachWithin(WIDTH, refs, (ref) => this.#bring(ref));
      full ||= refs.length === BATCH;
    }
    if (full) this.#ticker.soon();
  }

  async #bring(ref: ParkedRef): Promise<void> {
    const { parked, clock, timings, watch, emit, mayPump } = this.#options;
    // A round may last; what has begun to fail or to end in between must not go on claiming.
    if (!mayPump()) return;
    const now = clock.now();
    const job = await parked.claim(ref, now, now + timings.pumpClaim);
    if (job === undefined) return;
    try {
      // Accepted in the instant in which its partition was deleted: it goes the way of all that belonged to it. Asked of
      // the table: our copy may be a tombstone that a start has replaced meanwhile, and this job its first.
      if (watch.get(job.partition)?.status === "deleted" && (await watch.refresh(job.partition))?.status === "deleted") {
        await parked.remove(ref, job.rev);
        return;
      }
      if ((await this.#publish(job)) === "queued") await parked.remove(ref, job.rev);
      else await parked.postpone(ref, job.rev, clock.now() + RETRY_MS.noQueue);
    } catch (error) {
      emit({ type: "trouble", doing: `publishing the parked job ${job.id}`, error });
      await parked.postpone(ref, job.rev, clock.now() + RETRY_MS.broker);
    }
  }

  /** A queue that is missing is declared, but only while its partition runs: a deleted one must not come back. */
  async #publish(job: ParkedJob): Promise<Published> {
    const { publisher, admin, watch } = this.#options;
    const message = { brokerQueue: brokerQueue(job.partition, job.queue), partition: job.partition, id: job.id, body: job.body };
    const published = await publisher.publish(message);
    if (published === "queued") return published;
    const row = watch.get(job.partition);
    if (row?.status !== "running" || !listedQueues(row).includes(job.queue)) return published;
    await admin.ensure(message.brokerQueue);
    return publisher.publish(message);
  }
}
