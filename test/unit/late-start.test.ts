import { expect, it } from "vitest";
import { z } from "zod";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import type { Delivery } from "../../core/job/broker.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { encodeEnvelope } from "../../core/job/envelope.ts";
import { defineHooks } from "../../core/job/hooks.ts";
import { registryOf } from "../../core/job/registry.ts";
import { virtualClock } from "../../testing/clock.ts";
import { inlineThreads } from "../../testing/inline-threads.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { Pipeline } from "../../worker/pipeline.ts";
import { Run } from "../../worker/run.ts";

/** One run in a process that stands still for so long, at a moment of the test's choice, that its lease is over when it goes on. */
async function frozenWhile(moment: "its key is on its way" | "its hook runs") {
  const clock = virtualClock();
  const seen: string[] = [];
  let mayStart = true;
  const freeze = (): void => {
    mayStart = false;
  };
  const job = defineJob({ name: "job", args: z.object({}), executionKey: () => "k", perform: () => void seen.push("started") });
  const hooks = defineHooks({ beforeRun: () => (moment === "its hook runs" ? freeze() : undefined) });
  const registry = registryOf({ job });
  const store = memoryStore({ clock });
  const { acquire } = store.executionKeys;
  const executionKeys = {
    ...store.executionKeys,
    acquire: async (...args: Parameters<typeof acquire>) => {
      const answer = await acquire(...args);
      if (moment === "its key is on its way") freeze();
      return answer;
    },
  };
  const pipeline = new Pipeline({
    boot: "me",
    registry,
    hooks: [hooks],
    threads: inlineThreads(registry),
    store: { ...store, executionKeys },
    clock,
    timings: DEFAULT_TIMINGS,
    emit: () => undefined,
    tasks: { takeable: () => [], knows: () => true, present: async () => new Set(["me"]) },
    row: () => undefined,
    running: () => [],
    pause: async () => undefined,
    giveBackOlderThan: () => undefined,
    mayStart: () => mayStart,
  });
  const ref = { partition: "acme", key: "k" };
  const now = clock.now();
  const envelope = {
    v: 1,
    id: "a",
    name: "job",
    args: {},
    partition: "acme",
    queue: "default",
    execution_key: "k",
    attempt: 1,
    enqueued_at: now,
  } as const;
  const delivery: Delivery = {
    body: Buffer.from(encodeEnvelope(envelope)),
    brokerQueue: "acme-default",
    messageId: "a",
    redelivered: false,
    deliveryCount: 0,
    deadFrom: undefined,
    lost: false,
    ack: () => void seen.push("acked"),
    nack: () => void seen.push("handed back"),
  };
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  await pipeline.runner.run(new Run({ delivery, receivedAt: clock.monotonic(), startedAt: now, makeLog: () => log }));
  return { seen, lock: await store.executionKeys.read(ref) };
}

it.each(["its key is on its way", "its hook runs"] as const)("a job does not begin when the lease ran out while %s", async (moment) => {
  const { seen, lock } = await frozenWhile(moment);
  expect(seen).toEqual(["handed back"]);
  expect(lock).toMatchObject({ reserved: "a" });
  expect(lock?.holder).toBeUndefined();
});
