import { describe } from "vitest";
import { cancelStore } from "../../../store/cancels.ts";
import type { Store } from "../../../store/store.ts";
import { belongingsSuite } from "./belongings.ts";
import { buriedStoreSuite } from "./buried-store.ts";
import { cancelProtocolSuite } from "./cancel-protocol.ts";
import { cancelStoreSuite } from "./cancel-store.ts";
import { dueIndexSuite } from "./due-index.ts";
import { executionKeyStoreSuite } from "./execution-key-store.ts";
import { livesSuite } from "./lives.ts";
import { parkedStoreSuite } from "./parked-store.ts";
import { partitionStoreSuite } from "./partition-store.ts";
import { queueKeyStoreSuite } from "./queue-key-store.ts";
import { scaleStoreSuite } from "./scale-store.ts";
import { shareSuite } from "./shares.ts";
import { suspectStoreSuite } from "./suspect-store.ts";
import type { TableWorld } from "./table.ts";
import { taskStoreSuite } from "./task-store.ts";
import type { Make } from "./world.ts";

/** 10,000 markers take a minute in an emulator; fewer than mark one job at once, and some of those would be refused. */
const FEW_MARKERS = 40;

/** All that the store promises, of a table that `open` makes. */
export function storeSuites(open: () => Promise<TableWorld>): void {
  const only =
    <K extends keyof Store>(kind: K): Make<Store[K]> =>
    async () => {
      const { store, clock } = await open();
      return { store: store[kind], clock };
    };

  describe("partitions", () => partitionStoreSuite(only("partitions")));
  describe("shares", () => shareSuite(only("partitions")));
  describe("tasks", () => taskStoreSuite(only("tasks")));
  describe("parked jobs", () => parkedStoreSuite(only("parked")));
  describe("buried jobs", () => buriedStoreSuite(only("buried")));
  describe("queue keys", () => queueKeyStoreSuite(only("queueKeys")));
  describe("the due index", () => dueIndexSuite(open));
  describe("execution keys", () => executionKeyStoreSuite(only("executionKeys")));
  describe("cancel markers", () =>
    cancelStoreSuite(async () => {
      const { document, table: name, clock } = await open();
      return { store: cancelStore({ document, name, clock }, FEW_MARKERS), clock };
    }, FEW_MARKERS));
  describe("suspects", () => suspectStoreSuite(only("suspects")));
  describe("belongings", () => belongingsSuite(open));
  describe("two lives of one id", () => livesSuite(open));
  describe("a cancel", () => cancelProtocolSuite(open));
  describe("scale", () => scaleStoreSuite(only("scale")));
}
