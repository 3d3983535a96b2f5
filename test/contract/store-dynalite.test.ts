import { PutCommand, ScanCommand } from "@aws-sdk/lib-dynamodb";
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

it("a queue key is barred until the next write, also by a build that knows nothing of that", async () => {
  const { clock, document, store, table } = await open();
  const ref = { partition: "acme", key: "id:order-7" };
  const life = (job: string) => ({ job, enqueuedAt: clock.now() });
  await store.queueKeys.bar(ref, life("order-7"), { attempt: 1, now: clock.now(), until: clock.now() + LIMITS.doneKeyMs });
  expect(await store.queueKeys.get(ref)).toMatchObject({ forgotten: true });
  const { Items: [{ until: _, expires: __, ...barred } = {}] = [] } = await document.send(new ScanCommand({ TableName: table }));
  await document.send(new PutCommand({ TableName: table, Item: { ...barred, state: "queued", rev: "another" } }));
  const queued = { jobId: "order-7", enqueuedAt: clock.now(), state: "queued", attempt: 1 };
  expect(await store.queueKeys.get(ref)).toEqual(queued);
  const job = { ...{ partition: "acme", id: "order-7", name: "mail", queue: "default", attempt: 1, body: "{}" }, enqueuedAt: clock.now() + 1 };
  const outbox = { ...job, reason: "outbox", due: clock.now(), since: clock.now() } as const;
  const claim = { outbox, due: clock.now(), now: clock.now(), takeDone: false };
  expect(await store.queueKeys.claim(ref, claim)).toEqual({ claimed: false, holder: queued });
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
