import { describe, expect, it } from "vitest";
import { Client, type ClientDeps } from "../../../client/client.ts";
import { BrokerUnavailable } from "../../../core/contract/errors.ts";
import { brokerQueue } from "../../../core/contract/names.ts";
import type { JobPublisher } from "../../../core/job/broker.ts";
import type { JobSpec } from "../../../core/job/define-job.ts";
import { DUE_SHARDS } from "../../../core/job/due-shard.ts";
import { DuplicateJob } from "../../../core/job/duplicate-job.ts";
import { deliverOutbox } from "../../../core/job/enqueue.ts";
import { decodeEnvelope, type Envelope } from "../../../core/job/envelope.ts";
import type { NewJobOptions } from "../../../core/job/new-job.ts";
import { QueueKeys } from "../../../core/keys/queue-key.ts";
import { StoreUnavailable } from "../../../store/errors.ts";
import type { Store } from "../../../store/store.ts";
import { bill, greet } from "../../client-world.ts";
import type { TestClock } from "./world.ts";

/** A partition that runs, with the queue `default` in the table and in RabbitMQ. */
export interface CrashWorld {
  readonly partition: string;
  readonly store: Pick<Store, "partitions" | "parked" | "buried" | "queueKeys" | "cancels" | "tasks">;
  readonly clock: TestClock;
  readonly publisher: JobPublisher;
  /** Takes all messages out of the queue. */
  take(): Promise<Buffer[]>;
}

/** The call of a port after which, or instead of which, something goes wrong; counted from 0. */
interface Fault {
  readonly at: number;
  readonly when: "before" | "after";
  /** `crash`: nothing that the process does afterwards has an effect. `outage`: it is told that there was no answer. */
  readonly kind: "crash" | "outage";
}

class Crash extends Error {}

/** Counts the calls of ports, and lets one go wrong. */
class Faults {
  readonly #fault: Fault | undefined;
  calls = 0;
  #dead = false;

  constructor(fault: Fault | undefined) {
    this.#fault = fault;
  }

  wrap<Port extends object>(port: Port, Unavailable: new (message: string) => Error): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        if (typeof method !== "function") return method;
        return (...args: unknown[]) => this.#call(() => Reflect.apply(method, target, args) as Promise<unknown>, Unavailable);
      },
    });
  }

  async #call(effect: () => Promise<unknown>, Unavailable: new (message: string) => Error): Promise<unknown> {
    if (this.#dead) throw new Crash("dead");
    const fault = this.calls++ === this.#fault?.at ? this.#fault : undefined;
    if (fault?.when !== "before") {
      const answer = await effect();
      if (fault === undefined) return answer;
    }
    if (fault.kind === "outage") throw new Unavailable("no answer");
    this.#dead = true;
    throw new Crash("now");
  }
}

interface Scenario {
  readonly name: string;
  /** Calls of ports that one undisturbed enqueueing makes. */
  readonly calls: number;
  readonly spec: JobSpec;
  readonly options?: Omit<NewJobOptions, "partition">;
  /** What RabbitMQ does with the publish. @default confirms it */
  readonly rabbit?: "none" | "away" | "unroutable" | "confirm_lost";
  /** At least once: without a key a job in doubt runs twice. @default 1 */
  readonly runs?: 2;
}

const SCENARIOS: readonly Scenario[] = [
  { name: "a job with a key", calls: 4, spec: bill },
  { name: "a job with an id of the caller's", calls: 5, spec: greet, options: { id: "order-7" } },
  { name: "a job with a key, without RabbitMQ", calls: 4, spec: bill, rabbit: "none" },
  { name: "a job with a key, RabbitMQ away", calls: 5, spec: bill, rabbit: "away" },
  { name: "a job with a key, its queue not there", calls: 5, spec: bill, rabbit: "unroutable" },
  { name: "a job with a key, its confirm lost", calls: 5, spec: bill, rabbit: "confirm_lost" },
  { name: "a delayed job with a key", calls: 4, spec: bill, options: { delay: 30 } },
  { name: "a plain job", calls: 1, spec: greet },
  { name: "a plain job, without RabbitMQ", calls: 2, spec: greet, rabbit: "none" },
  { name: "a plain job, RabbitMQ away", calls: 3, spec: greet, rabbit: "away" },
  { name: "a plain job, its confirm lost", calls: 3, spec: greet, rabbit: "confirm_lost", runs: 2 },
];

/** Every step of an enqueueing goes wrong once; then a worker's pump runs, and all that came of it is looked at. */
export function clientCrashSuite(make: () => Promise<CrashWorld>, only: (name: string) => boolean = () => true): void {
  describe.each(SCENARIOS.filter(({ name }) => only(name)))("$name", (scenario) => {
    const { runs = 1 } = scenario;

    it(`is enqueued in ${scenario.calls} calls, and runs ${runs === 1 ? "once" : "twice"}`, async () => {
      const world = await make();
      const { answer, faults } = await enqueue(world, scenario, undefined);
      expect(answer).toMatchObject({ jobId: expect.any(String) });
      const ran = await settle(world);
      expect(ran).toHaveLength(runs);
      expect(faults.calls).toBe(scenario.calls);
      await expectNothingLeft(world, scenario, ran);
    });

    const steps = Array.from({ length: scenario.calls }, (_, at) => at);
    const faults = (["crash", "outage"] as const).flatMap((kind) =>
      (["before", "after"] as const).flatMap((when) => steps.map((at) => ({ kind, when, at }))),
    );
    it.each(faults)("$kind $when call $at", async (fault) => {
      const world = await make();
      const { answer } = await enqueue(world, scenario, fault);
      const ran = await settle(world);
      // Without a key a publish in doubt may be a second copy.
      expect(ran.length).toBeLessThanOrEqual(isKeyed(scenario) ? 1 : 2);
      if (answer instanceof Error) {
        // Nothing was promised; it may have been accepted all the same.
        expect(answer).toBeInstanceOf(fault.kind === "crash" ? Crash : StoreUnavailable);
        expect(new Set(ran.map(({ id }) => id)).size).toBeLessThanOrEqual(1);
      } else {
        expect(new Set(ran.map(({ id }) => id))).toEqual(new Set([answer.jobId]));
      }
      await expectNothingLeft(world, scenario, ran);
    });
  });
}

function isKeyed({ spec, options }: Scenario): boolean {
  return spec === bill || options?.id !== undefined;
}

async function enqueue(world: CrashWorld, scenario: Scenario, fault: Fault | undefined) {
  const faults = new Faults(fault);
  const { partitions, parked, queueKeys } = world.store;
  const client = clientOf(world, {
    store: {
      ...world.store,
      partitions: faults.wrap(partitions, StoreUnavailable),
      parked: faults.wrap(parked, StoreUnavailable),
      queueKeys: faults.wrap(queueKeys, StoreUnavailable),
    },
    line: scenario.rabbit === "none" ? undefined : lineOf(faults.wrap(publisherOf(world, scenario), BrokerUnavailable)),
  });
  const answer = await enqueueOnce(client, world, scenario).catch((error: Error) => error);
  return { answer, faults };
}

function enqueueOnce(client: Client, { partition }: CrashWorld, { spec, options }: Scenario): Promise<{ readonly jobId: string }> {
  return client.enqueue(spec, { to: "x", invoice: "1" }, { partition, ...options });
}

function clientOf({ store, clock }: CrashWorld, change: Partial<ClientDeps>): Client {
  return new Client({ table: "roger", store, line: undefined, clock, release: () => undefined, ...change });
}

function lineOf(publisher: JobPublisher): ClientDeps["line"] {
  return { publish: (job) => publisher.publish(job), close: async () => undefined };
}

function publisherOf({ publisher }: CrashWorld, { rabbit }: Scenario): JobPublisher {
  return {
    publish: async (job) => {
      if (rabbit === "unroutable") return "unroutable";
      if (rabbit === "away") throw new BrokerUnavailable("away");
      const published = await publisher.publish(job);
      if (rabbit === "confirm_lost") throw new BrokerUnavailable("the confirm is lost");
      return published;
    },
  };
}

/** A worker does its part: the pump, until nothing is due for a minute; then every message is run. @returns the runs */
async function settle(world: CrashWorld): Promise<Envelope[]> {
  world.clock.advance(60_000);
  for (let round = 0; await pump(world); round++) expect(round).toBeLessThan(10);
  const ran: Envelope[] = [];
  for (const body of await world.take()) {
    const envelope = decodeEnvelope(body);
    if (await run(world, envelope, `task/${ran.length}`)) ran.push(envelope);
  }
  return ran;
}

async function pump({ store, clock, publisher }: CrashWorld): Promise<boolean> {
  const { parked, queueKeys } = store;
  const now = clock.now();
  let worked = false;
  for (const shard of DUE_SHARDS) {
    for (const due of await parked.due(shard, now, 100)) {
      worked = true;
      if (due.kind === "queue_key") {
        expect(await deliverOutbox({ queueKeys, parked }, due.ref, now, now + 30_000)).toBe(true);
        continue;
      }
      const job = await parked.claim(due.ref, now, now + 30_000);
      if (job === undefined) throw new Error("a due job could not be claimed");
      const { partition, id, body } = job;
      expect(await publisher.publish({ brokerQueue: brokerQueue(partition, job.queue), partition, id, body })).toBe("queued");
      expect(await parked.remove(job, job.rev)).toBe(true);
    }
  }
  return worked;
}

/** @returns whether it ran: a copy of what has ended is dropped */
async function run({ store, clock }: CrashWorld, { partition, id, enqueued_at, queue_key, attempt }: Envelope, runId: string): Promise<boolean> {
  if (queue_key === undefined) return true;
  const queueKeys = new QueueKeys(store.queueKeys, { ended: async () => false }, clock);
  const ref = { partition, key: queue_key };
  const me = { job: id, enqueuedAt: enqueued_at, run: runId, task: "task" };
  if ((await queueKeys.begin(ref, me, attempt)) !== "mine") return false;
  await queueKeys.finish(ref, me);
  return true;
}

/** No key is taken for ever, no job lies about: the same job can be enqueued by another process, unless its id has had its run. */
async function expectNothingLeft(world: CrashWorld, scenario: Scenario, ran: readonly Envelope[]): Promise<void> {
  const { partition, store } = world;
  expect((await store.parked.list(partition, { limit: 10 })).jobs).toEqual([]);
  const again = enqueueOnce(clientOf(world, { line: lineOf(world.publisher) }), world, { ...scenario, options: { ...scenario.options, ...NOW } });
  if (scenario.options?.id !== undefined && ran.length > 0) await expect(again).rejects.toBeInstanceOf(DuplicateJob);
  else {
    const { jobId } = await again;
    expect((await settle(world)).map(({ id }) => id)).toEqual([jobId]);
  }
}

const NOW = { delay: 0 };
