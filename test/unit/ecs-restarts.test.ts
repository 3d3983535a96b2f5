import { expect, it } from "vitest";
import { Restarts } from "../../local/ecs/restarts.ts";

it("waits not at all, then ever longer up to the bound, and forgets after a settled life", () => {
  let now = 0;
  const clock = { now: () => now, monotonic: () => now };
  const restarts = new Restarts(clock, { firstMs: 100, maxMs: 1_000, settledMs: 30_000 });
  const waits = Array.from({ length: 7 }, () => {
    restarts.ended(5);
    return restarts.waitMs;
  });
  expect(waits).toEqual([0, 100, 200, 400, 800, 1_000, 1_000]);
  now += 400;
  expect(restarts.waitMs).toBe(600);
  restarts.ended(30_000);
  expect(restarts.waitMs).toBe(0);
  restarts.ended(5);
  expect(restarts.waitMs).toBe(0);
});
