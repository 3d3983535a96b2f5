import { Enqueuer } from "../../client/enqueuer.ts";
import { RogerError } from "../../core/contract/errors.ts";
import type { Delivery, TakeOptions } from "../../core/job/broker.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { acceptJob } from "../../core/job/enqueue.ts";
import { parkedJob } from "../../core/job/parked.ts";
import { reviveJob } from "../../core/job/revive.ts";
import type { TaskLease } from "../../core/partition/task-store.ts";
import { cancel } from "../../functions/cancel.ts";
import type { QueuesDeps } from "../../functions/deps.ts";
import { purge } from "../../functions/purge.ts";
import { MemoryBroker } from "../../testing/memory-broker.ts";
import type { Life } from "./ledger.ts";
import { idOf, queueKeyOf, type SimJob } from "./setup.ts";
import { PARTITION, QUEUE, type World } from "./world.ts";

/** Refusals that a person or a client is told of, and lives with. */
const REFUSALS: ReadonlySet<string> = new Set(["duplicate_job", "job_buried"]);

/** What clients and people do, each in a process of its own that may die at any step. */
export class Outside {
  readonly #world: World;
  /** The connections of those that have one. */
  readonly #brokers = new Map<string, MemoryBroker>();

  constructor(world: World) {
    this.#world = world;
  }

  /** Enqueues a job. @param skewMs by which the enqueuer's clock is ahead */
  async enqueue(job: SimJob, skewMs: number): Promise<void> {
    const { ledger, clock } = this.#world;
    const life = ledger.begin(job, clock.now() + skewMs);
    await this.#begin(`client of ${job.name}`, `enqueue ${job.name}`, async () => {
      if (await (job.own === true ? this.#enqueueOwn(life, skewMs) : this.#enqueueOurs(life))) life.accepted = true;
    });
  }

  /** The real client. */
  async #enqueueOwn({ job, enqueuedAt }: Life, skewMs: number): Promise<boolean> {
    const world = this.#world;
    const store = world.openStore();
    const clock = { now: () => world.clock.now() + skewMs, monotonic: () => world.clock.monotonic() };
    const line = { ...world.scheduler.observed(this.#connect().publisher), close: async () => undefined };
    const spec = defineJob({
      name: "sim",
      args: ANY,
      ...(job.executionKey === undefined ? {} : { executionKey: () => job.executionKey }),
      perform: () => undefined,
    });
    const enqueuer = new Enqueuer({ ...store, line, clock, partitions: { get: async () => world.row } });
    await enqueuer.enqueue(spec, { id: idOf(job), enqueuedAt }, { partition: PARTITION, id: idOf(job) });
    return true;
  }

  /** As the real client does, whose ids are drawn by lot: here a walk can be gone again. */
  async #enqueueOurs({ job, enqueuedAt }: Life): Promise<boolean> {
    const { clock, scheduler } = this.#world;
    const { queueKeys, parked: store } = this.#world.openStore();
    const publisher = scheduler.observed(this.#connect().publisher);
    const now = clock.now();
    const parked = parkedJob(this.#world.envelope(job, enqueuedAt), { reason: "outbox", due: now, since: now });
    const queueKey = queueKeyOf(job);
    const key = queueKey === undefined ? undefined : { ref: { partition: PARTITION, key: queueKey }, takeDone: true };
    const answer = await acceptJob({ queueKeys, clock }, parked, key, async (accepted) => {
      if (job.outbox === true) return (await store.park(accepted)) !== undefined;
      const { id, body } = accepted;
      await publisher.publish({ brokerQueue: QUEUE, partition: PARTITION, id, body });
      return true;
    });
    return answer.accepted;
  }

  async cancel(job: SimJob): Promise<void> {
    const ended = this.#world.ledger.wish(idOf(job));
    await this.#begin(`canceller of ${job.name}`, `cancel ${job.name}`, async () => {
      await cancel(this.#deps(), PARTITION, idOf(job)).finally(ended);
    });
  }

  /** A person retries what is buried of a job. */
  async revive(job: SimJob): Promise<void> {
    const { state, ledger, clock } = this.#world;
    const grave = state.buried[`${PARTITION}/${idOf(job)}`];
    if (grave?.enqueuedAt === undefined) return;
    const life = ledger.of(grave.id, grave.enqueuedAt);
    const broughtBack = ledger.reviving(life);
    await this.#begin(`reviver of ${job.name}`, `revive ${job.name}`, async () => {
      const revived = await reviveJob({ ...this.#world.openStore(), clock }, grave);
      if (revived.kind === "revived") broughtBack();
    });
  }

  async purge(): Promise<void> {
    const ended = this.#world.ledger.purging();
    await this.#begin("purger", "purge", async () => {
      await purge(this.#deps(), { partition: PARTITION, queue: "default" }).finally(ended);
    });
  }

  /** The process dies: what it has in hands goes back. */
  kill(process: string): void {
    this.#world.scheduler.kill(process);
    this.#brokers.get(process)?.sever();
  }

  #connect(): MemoryBroker {
    const { rabbit, scheduler } = this.#world;
    const broker = new MemoryBroker(rabbit, scheduler.hook);
    this.#brokers.set(scheduler.current?.process ?? "", broker);
    return broker;
  }

  async #begin(process: string, what: string, work: () => Promise<void>): Promise<void> {
    const n = this.#world.next();
    await this.#world.scheduler.begin(`${what} #${n}`, `${process} #${n}`, async () => {
      try {
        await work();
      } catch (error) {
        if (!(error instanceof RogerError && REFUSALS.has(error.code))) throw error;
      }
    });
  }

  /** What a Lambda has; the ports that these two don't use are not there. */
  #deps(): QueuesDeps {
    const world = this.#world;
    const tasks = { leases: async () => this.#leases(), reports: async () => [] };
    const partitions = {
      announceCancel: async () => {
        world.announce();
        return true;
      },
    };
    const taker = { take: (queue: string, options: TakeOptions) => this.#take(queue, options) };
    return {
      store: { ...world.openStore(), tasks, partitions },
      clock: world.clock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      withQueues: (lend: (queues: unknown) => unknown) => lend(taker),
    } as unknown as QueuesDeps;
  }

  /** Those that are dead have a lease until they are declared so; then it is forgotten. */
  #leases(): TaskLease[] {
    const { tasks, dead, declaredDead } = this.#world;
    const boots = [...tasks.keys(), ...[...dead].filter((boot) => !declaredDead.has(boot))];
    return boots.map((boot) => ({
      ...{ boot, pool: "default", slots: 1, beat: 1, free: 1 },
      ...{ draining: false, full: false, connected: true, dead: false },
    }));
  }

  /** One after the other, until none is ready. */
  async #take(queue: string, { settle }: TakeOptions): Promise<{ taken: number; more: boolean }> {
    const channel = this.#connect().partition(PARTITION);
    const stays: Delivery[] = [];
    let taken = 0;
    try {
      for (let delivery = channel.pull(queue); delivery !== undefined; delivery = channel.pull(queue)) {
        if (await settle(delivery.body)) {
          delivery.ack();
          taken += 1;
        } else stays.push(delivery);
      }
    } catch (error) {
      channel.sever();
      throw error;
    }
    for (const delivery of stays) delivery.nack();
    return { taken, more: false };
  }
}

const ANY = {
  "~standard": {
    version: 1,
    vendor: "sim",
    validate: (value: unknown) => ({ value: value as { readonly id: string; readonly enqueuedAt: number } }),
  },
} as const;
