import { expect, it } from "vitest";
import { Window } from "../../core/contract/window.ts";

it("Window lets no more than its width through at once, in order, and survives calls that throw", async () => {
  const window = new Window(3);
  let busy = 0;
  let most = 0;
  const order: number[] = [];
  const calls = Array.from({ length: 20 }, (_, i) =>
    window.run(async () => {
      order.push(i);
      busy += 1;
      most = Math.max(most, busy);
      await Promise.resolve();
      busy -= 1;
      if (i % 4 === 0) throw new Error(String(i));
      return i;
    }),
  );
  const results = await Promise.allSettled(calls);
  expect(most).toBe(3);
  expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  expect(results.filter(({ status }) => status === "rejected")).toHaveLength(5);
  await expect(window.run(async () => "free again")).resolves.toBe("free again");
});
