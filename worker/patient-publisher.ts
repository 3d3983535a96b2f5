import type { Clock } from "../core/contract/clock.ts";
import { BrokerUnavailable } from "../core/contract/errors.ts";
import type { JobPublisher, OutgoingJob, Published } from "../core/job/broker.ts";

/** The queue did not confirm of late: it is left alone for `retryMs`, and the job was not published. */
export class QueueHeldBack extends BrokerUnavailable {
  readonly retryMs: number;

  constructor(brokerQueue: string, retryMs: number) {
    super(`${brokerQueue} did not confirm of late: not tried again for ${Math.round(retryMs)} ms`);
    this.name = "QueueHeldBack";
    this.retryMs = retryMs;
  }
}

/** A publish that is not confirmed by then may never be: a healthy broker confirms in a few milliseconds, a busy one in tens. */
export const PATIENCE_MS = 500;
/** How long a queue that does not confirm is left alone: twice as long each time, up to what a tenant may wait once it is well again. */
const PAUSE_MS = { first: 1_000, most: 30_000 } as const;
/** Ailing queues that are tried at the same time. Each may hold its place in the confirm window until its deadline. */
const PROBES_AT_ONCE = 25;
/** Ailing queues remembered; more than these is no trouble of queues. */
const REMEMBERED = 10_000;

interface Ailing {
  pauseMs: number;
  /** Monotonic. */
  until: number;
  probed: boolean;
}

export interface PatientPublisherOptions {
  readonly publisher: JobPublisher;
  readonly clock: Clock;
  /** Whether RabbitMQ is there: if not, no queue is to blame. */
  connected(): boolean;
}

/**
 * A publisher that remembers which queues do not confirm (no majority of their replicas), so that their jobs do not fill
 * the window that all queues share:
 *
 *   well ── no confirm in 500 ms, or a failure ──▶ left alone ── its pause is over ──▶ one job tries ── confirmed ──▶ well
 *                                                      ▲                                   │ as bad as before
 *                                                      └────────── twice as long ──────────┘
 *
 * What is late is not given up: its own publish ends by confirm or deadline, and its answer goes to its caller.
 */
export class PatientPublisher implements JobPublisher {
  readonly #options: PatientPublisherOptions;
  /** Broker queue -> its trouble; the one that has been ailing longest first. */
  readonly #ailing = new Map<string, Ailing>();
  #probes = 0;

  constructor(options: PatientPublisherOptions) {
    this.#options = options;
  }

  /** @throws QueueHeldBack at once while the queue is left alone; BrokerUnavailable */
  async publish(job: OutgoingJob): Promise<Published> {
    const { publisher, connected } = this.#options;
    // Whatever a queue did on a connection that is gone says nothing of the next one.
    if (!connected()) this.#ailing.clear();
    const endProbe = this.#admit(job.brokerQueue);
    let noted = false;
    const note = (): void => {
      if (!noted) this.#suffer(job.brokerQueue);
      noted = true;
    };
    const late = setTimeout(note, PATIENCE_MS);
    try {
      const published = await publisher.publish(job);
      this.#ailing.delete(job.brokerQueue);
      return published;
    } catch (error) {
      if (connected()) note();
      throw error;
    } finally {
      clearTimeout(late);
      endProbe();
    }
  }

  /** @returns what to do once the publish has ended */
  #admit(brokerQueue: string): () => void {
    const ailing = this.#ailing.get(brokerQueue);
    if (ailing === undefined) return () => undefined;
    const leftMs = ailing.until - this.#options.clock.monotonic();
    // Spread out: all that waits for this queue must not fall due in the same instant.
    if (leftMs > 0) throw new QueueHeldBack(brokerQueue, leftMs + (Math.random() * ailing.pauseMs) / 2);
    if (ailing.probed || this.#probes >= PROBES_AT_ONCE) throw new QueueHeldBack(brokerQueue, ailing.pauseMs * (0.5 + Math.random()));
    ailing.probed = true;
    this.#probes += 1;
    return () => {
      ailing.probed = false;
      this.#probes -= 1;
    };
  }

  /** n.b. Those that were under way together fail together: only the first counts. */
  #suffer(brokerQueue: string): void {
    const now = this.#options.clock.monotonic();
    const ailing = this.#ailing.get(brokerQueue);
    if (ailing === undefined) {
      const [oldest] = this.#ailing.keys();
      if (oldest !== undefined && this.#ailing.size >= REMEMBERED) this.#ailing.delete(oldest);
      this.#ailing.set(brokerQueue, { pauseMs: PAUSE_MS.first, until: now + PAUSE_MS.first, probed: false });
    } else if (ailing.until <= now) {
      ailing.pauseMs = Math.min(PAUSE_MS.most, ailing.pauseMs * 2);
      ailing.until = now + ailing.pauseMs;
    }
  }
}
