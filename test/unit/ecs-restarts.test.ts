import { expect, it } from "vitest";
import { Restarts } from "../../local/ecs/restarts.ts";
import { virtualClock } from "../../testing/clock.ts";

it("waits not at all, then ever longer up to the bound, and forgets after a settled life", () => {
  const clock = virtualClock();
  const restarts = new Restarts(clock, { firstMs: 100, maxMs: 1_000, settledMs: 30_000 });
  const waits = Array.from({ length: 7 }, () => {
    restarts.ended(5);
    return restarts.waitMs;
  });
  expect(waits).toEqual([0, 100, 200, 400, 800, 1_000, 1_000]);
  clock.advance(400);
  expect(restarts.waitMs).toBe(600);
  restarts.ended(30_000);
  expect(restarts.waitMs).toBe(0);
  restarts.ended(5);
  expect(restarts.waitMs).toBe(0);
});
