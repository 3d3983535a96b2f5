import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Due } from "../../core/job/parked.ts";
import { DueLanes } from "../../worker/due-lanes.ts";
import { PATIENCE_MS } from "../../worker/patient-publisher.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const due = (prefix: string, many: number): Due[] =>
  Array.from({ length: many }, (_, i) => ({ kind: "parked", ref: { partition: "acme", id: `${prefix}-${i}` }, at: 0 }));

it("jobs that end in the instant in which nobody waits for them any more leave their places to others", async () => {
  const begun: string[] = [];
  const lanes = new DueLanes({
    courier: {
      bring: ({ ref }) => {
        const { id } = ref as { readonly id: string };
        begun.push(id);
        return id.startsWith("punctual") ? new Promise((resolve) => void setTimeout(resolve, PATIENCE_MS)) : new Promise(() => undefined);
      },
    },
    emit: () => undefined,
    mayPump: () => true,
    onWorkedOff: () => undefined,
  });
  lanes.plan(due("punctual", 100));
  for (const round of [50, 100]) {
    expect(begun.length).toBe(round);
    // Both timers fire before either is heard of.
    vi.advanceTimersByTime(PATIENCE_MS);
    await vi.advanceTimersByTimeAsync(0);
  }
  lanes.plan(due("endless", 51));
  await vi.advanceTimersByTimeAsync(PATIENCE_MS);
  expect(begun.at(-1)).toBe("endless-50");
});
