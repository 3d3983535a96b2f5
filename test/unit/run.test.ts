import { expect, it } from "vitest";
import type { Delivery } from "../../core/job/broker.ts";
import type { Envelope } from "../../core/job/envelope.ts";
import { Run } from "../../worker/run.ts";

const newRun = (): Run => new Run({ delivery: {} as Delivery, receivedAt: 0, startedAt: 0, makeLog: () => expect.fail("no log was asked for") });

it.each([
  [0.25, 0.25],
  [-1, 0],
  [7, 1],
  [Number.POSITIVE_INFINITY, 1],
  [0 / 0, 0.5],
])("a handler that says it is %d done is shown as %d done", (said, shown) => {
  const run = newRun();
  run.progress(0.5);
  run.progress(said);
  expect(run.progressed).toBe(shown);
});

it.each([
  ["a trace", "00-aaaa-bbbb-01", { traceparent: "00-aaaa-bbbb-01" }],
  ["no trace", undefined, {}],
  ["what is no text in the place of one", 7, {}],
])("a handler of a job that came with %s is given what it may go on in", (_, traceparent, given) => {
  const envelope = { v: 1, id: "a", name: "job", args: {}, partition: "acme", queue: "default", attempt: 1, enqueued_at: 17 };
  const run = newRun();
  run.decoded({ ...envelope, ...(traceparent === undefined ? {} : { traceparent }) } as Envelope);
  expect(run.job).toEqual({ id: "a", name: "job", partition: "acme", queue: "default", enqueuedAt: 17, ...given });
});
