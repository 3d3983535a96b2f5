import { expect, it } from "vitest";
import { z } from "zod";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import type { Delivery } from "../../core/job/broker.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { encodeEnvelope } from "../../core/job/envelope.ts";
import { defineHooks } from "../../core/job/hooks.ts";
import { registryOf } from "../../core/job/registry.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import { virtualClock } from "../../testing/clock.ts";
import { inlineThreads } from "../../testing/inline-threads.ts";
import { memoryStore } from "../../testing/memory-store.ts";
import { Pipeline } from "../../worker/pipeline.ts";
import { Run } from "../../worker/run.ts";

it.each([
  { what: "a job", redelivered: false, method: "list" },
  { what: "a job that has come before", redelivered: true, method: "get" },
])("$what whose cancel markers can't be read goes back to its queue, neither run nor cancelled", async ({ redelivered, method }) => {
  const clock = virtualClock();
  const seen: string[] = [];
  const job = defineJob({ name: "job", args: z.object({}), perform: () => void seen.push("started") });
  const hooks = defineHooks({ onCancel: () => void seen.push("told of a cancel") });
  const registry = registryOf({ job });
  let away = true;
  const before = (call: { readonly port: string; readonly method: string }): Promise<void> | undefined =>
    away && call.port === "cancels" && call.method === method ? Promise.reject(new StoreUnavailable("away")) : undefined;
  const pipeline = new Pipeline({
    ...{ boot: "me", registry, hooks: [hooks], threads: inlineThreads(registry), clock, timings: DEFAULT_TIMINGS },
    store: memoryStore({ clock, hook: { before } }),
    emit: () => undefined,
    tasks: { takeable: () => [], knows: () => true, present: async () => new Set(["me"]) },
    row: () => ({ id: "acme", status: "running", revision: 1, pools: {}, paused: [], held: {}, shares: {}, cancelSeq: 1 }),
    running: () => [],
    pause: async () => undefined,
    giveBackOlderThan: () => undefined,
  });
  const log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const run = async (): Promise<void> => {
    const now = clock.now();
    const body = encodeEnvelope({ v: 1, id: "a", name: "job", args: {}, partition: "acme", queue: "default", attempt: 1, enqueued_at: now });
    const message = {
      brokerQueue: "acme-default",
      messageId: "a",
      redelivered,
      deliveryCount: redelivered ? 1 : 0,
      deadFrom: undefined,
      lost: false,
    };
    const settle = { ack: () => void seen.push("acked"), nack: () => void seen.push("handed back") };
    const delivery: Delivery = { ...message, body: Buffer.from(body), ...settle };
    await pipeline.runner.run(new Run({ delivery, receivedAt: clock.monotonic(), startedAt: now, makeLog: () => log }));
  };
  await run();
  expect(seen).toEqual(["handed back"]);
  away = false;
  await run();
  expect(seen).toEqual(["handed back", "started", "acked"]);
});
