import { ScanCommand } from "@aws-sdk/lib-dynamodb";
import { expect, it } from "vitest";
import { LIMITS } from "../../core/contract/limits.ts";
import { useDynalite } from "./suites/dynalite.ts";
import { storeSuites } from "./suites/store.ts";

const { open } = useDynalite();

storeSuites(open);

it("a waiter's row is garbage a week after its job last asked for the key, and keeps its place until then", async () => {
  const { clock, document, store, table } = await open();
  const ref = { partition: "acme", key: "customer:7" };
  const waiter = { job: "job-1", enqueuedAt: 1_000 };
  const expires = async () => {
    const { Items = [] } = await document.send(new ScanCommand({ TableName: table, ConsistentRead: true }));
    return Items.map((item) => item.expires);
  };
  await store.executionKeys.enlist(ref, waiter);
  expect(await expires()).toEqual([Math.ceil((clock.now() + LIMITS.waiterKeepMs) / 1000)]);
  await store.executionKeys.enlist(ref, { job: "job-2", enqueuedAt: 2_000 });
  clock.advance(LIMITS.mostWaitMs);
  await store.executionKeys.enlist(ref, waiter);
  const [renewed, other] = await expires();
  expect(renewed).toBe(Math.ceil((clock.now() + LIMITS.waiterKeepMs) / 1000));
  expect(other).toBeLessThan(renewed);
  expect(await store.executionKeys.waiters(ref, 10)).toMatchObject([waiter, { job: "job-2" }]);
});

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
