import { expect, it } from "vitest";
import { useDynalite } from "./suites/dynalite.ts";
import { storeSuites } from "./suites/store.ts";

const { open } = useDynalite();

storeSuites(open);

it("the first waiter is found by reading one row", async () => {
  const { document, store } = await open();
  const ref = { partition: "acme", key: "customer:7" };
  for (let i = 0; i < 20; i++) await store.executionKeys.enlist(ref, { job: `job-${i}`, enqueuedAt: 1_000 + i });
  const read: unknown[] = [];
  document.middlewareStack.add(
    (next) => async (args) => {
      const answer = await next(args);
      read.push((answer.output as { readonly ScannedCount?: number }).ScannedCount);
      return answer;
    },
    { step: "initialize", name: "countRead" },
  );
  expect(await store.executionKeys.waiters(ref, 1)).toEqual([{ job: "job-0", enqueuedAt: 1_000 }]);
  expect(read).toEqual([1]);
});
