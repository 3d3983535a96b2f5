import { expect, it } from "vitest";
import type { Delivery } from "../../core/job/broker.ts";
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
