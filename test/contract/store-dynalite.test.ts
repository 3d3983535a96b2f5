import { describe, expect, it } from "vitest";
import { cancelStore } from "../../store/cancels.ts";
import { belongingsSuite } from "./suites/belongings.ts";
import { buriedStoreSuite } from "./suites/buried-store.ts";
import { cancelProtocolSuite } from "./suites/cancel-protocol.ts";
import { cancelStoreSuite } from "./suites/cancel-store.ts";
import { dueIndexSuite } from "./suites/due-index.ts";
import { only, useDynalite } from "./suites/dynalite.ts";
import { executionKeyStoreSuite } from "./suites/execution-key-store.ts";
import { livesSuite } from "./suites/lives.ts";
import { parkedStoreSuite } from "./suites/parked-store.ts";
import { partitionStoreSuite } from "./suites/partition-store.ts";
import { queueKeyStoreSuite } from "./suites/queue-key-store.ts";
import { scaleStoreSuite } from "./suites/scale-store.ts";
import { shareSuite } from "./suites/shares.ts";
import { suspectStoreSuite } from "./suites/suspect-store.ts";
import { taskStoreSuite } from "./suites/task-store.ts";

/** 10,000 markers take a minute here. */
const FEW_MARKERS = 20;

const { open } = useDynalite();

describe("partitions", () => partitionStoreSuite(only(open, "partitions")));
describe("shares", () => shareSuite(only(open, "partitions")));
describe("tasks", () => taskStoreSuite(only(open, "tasks")));
describe("parked jobs", () => parkedStoreSuite(only(open, "parked")));
describe("buried jobs", () => buriedStoreSuite(only(open, "buried")));
describe("queue keys", () => queueKeyStoreSuite(only(open, "queueKeys")));
describe("the due index", () => dueIndexSuite(open));
describe("execution keys", () => executionKeyStoreSuite(only(open, "executionKeys")));
describe("cancel markers", () =>
  cancelStoreSuite(async () => {
    const { document, table: name, clock } = await open();
    return { store: cancelStore({ document, name, clock }, FEW_MARKERS), clock };
  }, FEW_MARKERS));
describe("suspects", () => suspectStoreSuite(only(open, "suspects")));
describe("belongings", () => belongingsSuite(open));
describe("two lives of one id", () => livesSuite(open));
describe("a cancel", () => cancelProtocolSuite(open));
describe("scale", () => scaleStoreSuite(only(open, "scale")));

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
