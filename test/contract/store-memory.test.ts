import { describe } from "vitest";
import { NO_HOOK } from "../../testing/calls.ts";
import { memoryCancels } from "../../testing/cancels.ts";
import { virtualClock } from "../../testing/clock.ts";
import { emptyState } from "../../testing/memory-state.ts";
import { type MemoryStore, memoryStore } from "../../testing/memory-store.ts";
import { belongingsSuite } from "./suites/belongings.ts";
import { buriedStoreSuite } from "./suites/buried-store.ts";
import { cancelProtocolSuite } from "./suites/cancel-protocol.ts";
import { cancelStoreSuite } from "./suites/cancel-store.ts";
import { dueIndexSuite } from "./suites/due-index.ts";
import { executionKeyStoreSuite } from "./suites/execution-key-store.ts";
import { livesSuite } from "./suites/lives.ts";
import { parkedStoreSuite } from "./suites/parked-store.ts";
import { queueKeyStoreSuite } from "./suites/queue-key-store.ts";
import { suspectStoreSuite } from "./suites/suspect-store.ts";
import type { Make } from "./suites/world.ts";

describe("parked jobs", () => parkedStoreSuite(fresh("parked")));
describe("the due index", () => dueIndexSuite(open));
describe("buried jobs", () => buriedStoreSuite(fresh("buried")));
describe("queue keys", () => queueKeyStoreSuite(fresh("queueKeys")));
describe("execution keys", () => executionKeyStoreSuite(fresh("executionKeys")));
describe("belongings", () => belongingsSuite(open));
describe("two lives of one id", () => livesSuite(open));
describe("a cancel", () => cancelProtocolSuite(open));
describe("suspects", () => suspectStoreSuite(fresh("suspects")));

const BOUND = 20;
describe("cancels", () =>
  cancelStoreSuite(async () => {
    const clock = virtualClock();
    return { store: memoryCancels({ state: emptyState(), clock, hook: NO_HOOK }, BOUND), clock };
  }, BOUND));

/** Twins with a state and a clock of their own. */
async function open() {
  const clock = virtualClock();
  return { store: memoryStore({ clock }), clock };
}

function fresh<Kind extends keyof MemoryStore>(kind: Kind): Make<MemoryStore[Kind]> {
  return async () => {
    const { store, clock } = await open();
    return { store: store[kind], clock };
  };
}
