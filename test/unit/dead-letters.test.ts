import { expect, it } from "vitest";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import { DEAD_QUEUE } from "../../core/contract/names.ts";
import type { Delivery, SubscriptionOptions } from "../../core/job/broker.ts";
import { type Envelope, encodeEnvelope } from "../../core/job/envelope.ts";
import { defineHooks } from "../../core/job/hooks.ts";
import { registryOf } from "../../core/job/registry.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { virtualClock } from "../../testing/clock.ts";
import { inlineThreads } from "../../testing/inline-threads.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { DeadLetters } from "../../worker/dead-letters.ts";
import { Pipeline } from "../../worker/pipeline.ts";

const ENVELOPE: Envelope = {
  v: 1,
  id: "job-1",
  name: "mail",
  args: { to: "ada" },
  partition: "acme",
  queue: "default",
  queue_key: "q",
  execution_key: "k",
  attempt: 2,
  enqueued_at: 1,
};
const KEY = { partition: "acme", key: "q" };

/** A task that consumes the dead letters, and a hand that delivers them. */
async function world() {
  const clock = virtualClock();
  const table = { away: false };
  const before = (): Promise<void> | undefined => (table.away ? Promise.reject(new StoreUnavailable("away")) : undefined);
  const store = memoryStore({ clock, hook: { before } });
  const registry = registryOf({});
  const told: string[] = [];
  const hooks = defineHooks({
    onError: ({ id }, { error }) => void told.push(`error ${id} ${error.name}`),
    onBuried: ({ id }, reason) => void told.push(`buried ${id} ${reason}`),
  });
  const pipeline = new Pipeline({
    ...{ boot: "me", registry, hooks: [hooks], threads: inlineThreads(registry), store, clock, timings: DEFAULT_TIMINGS },
    emit: () => undefined,
    tasks: { takeable: () => [], knows: () => true, present: async () => new Set(["me", "other"]) },
    row: () => undefined,
    running: () => [],
    pause: async () => undefined,
    giveBackOlderThan: () => undefined,
  });
  const { recorder, keyring } = pipeline;
  let wish: SubscriptionOptions | undefined;
  const letters = new DeadLetters({
    ...{ recorder, keyring, hooks: pipeline.hooks, clock, emit: () => undefined },
    openChannel: () => ({
      subscribe: (options) => {
        wish = options;
        return { setPrefetch: async () => undefined, stop: async () => undefined };
      },
      close: async () => undefined,
    }),
  });
  await letters.start();
  /** @returns what becomes of the message */
  const deliver = (body: string, deadFrom = "acme-default"): Promise<"acked" | "handed back"> =>
    new Promise((resolve) => {
      const message = { brokerQueue: DEAD_QUEUE, messageId: undefined, redelivered: false, deliveryCount: 0, deadFrom, lost: false };
      const delivery: Delivery = { ...message, body: Buffer.from(body), ack: () => resolve("acked"), nack: () => resolve("handed back") };
      wish?.onDelivery(delivery);
    });
  return { store, clock, table, told, hooks: pipeline.hooks, deliver };
}

it("a job that RabbitMQ has given up is buried as undeliverable, with its keys free, and the hooks are told", async () => {
  const { store, told, hooks, deliver } = await world();
  expect(await deliver(encodeEnvelope(ENVELOPE))).toBe("acked");
  expect(await store.buried.get("acme", "job-1")).toMatchObject({ reason: "undeliverable", attempt: 2, queue: "default" });
  expect(await store.queueKeys.get(KEY)).toMatchObject({ state: "done" });
  await hooks.rested();
  expect(told).toEqual(["error job-1 NotRun", "buried job-1 undeliverable"]);
});

it.each([
  ["is no job", "not json", "acme-default"],
  ["says that it is another tenant's", encodeEnvelope(ENVELOPE), "globex-default"],
])("a dead letter that %s is buried whole under the tenant whose queue it came from", async (_, body, from) => {
  const { store, told, deliver } = await world();
  expect(await deliver(body, from)).toBe("acked");
  const { jobs } = await store.buried.list(from.split("-")[0] as string, { limit: 10 });
  expect(jobs).toMatchObject([{ reason: "invalid_envelope", body }]);
  expect(told).toEqual([]);
});

it("a dead letter goes back while the table is away, and is buried when it comes again", async () => {
  const { store, table, told, deliver } = await world();
  table.away = true;
  expect(await deliver(encodeEnvelope(ENVELOPE))).toBe("handed back");
  table.away = false;
  expect(await store.buried.get("acme", "job-1")).toBeUndefined();
  expect(await deliver(encodeEnvelope(ENVELOPE))).toBe("acked");
  expect(await store.buried.get("acme", "job-1")).toMatchObject({ reason: "undeliverable" });
  expect(told).toHaveLength(2);
});

it("a dead letter of a job that may still run elsewhere goes back: its keys are that run's", async () => {
  const { store, clock, deliver } = await world();
  const run = { job: "job-1", enqueuedAt: 1, run: "other/1", task: "other" };
  await store.queueKeys.begin(KEY, run, 2, clock.now());
  expect(await deliver(encodeEnvelope(ENVELOPE))).toBe("handed back");
  expect(await store.queueKeys.get(KEY)).toMatchObject({ state: "running", run: "other/1" });
});
