import { describe } from "vitest";
import { buriedStoreSuite } from "./suites/buried-store.ts";
import { only, useDynalite } from "./suites/dynalite.ts";
import { parkedStoreSuite } from "./suites/parked-store.ts";
import { partitionStoreSuite } from "./suites/partition-store.ts";
import { scaleStoreSuite } from "./suites/scale-store.ts";
import { shareSuite } from "./suites/shares.ts";
import { taskStoreSuite } from "./suites/task-store.ts";

const { open } = useDynalite();

describe("partitions", () => partitionStoreSuite(only(open, "partitions")));
describe("shares", () => shareSuite(only(open, "partitions")));
describe("tasks", () => taskStoreSuite(only(open, "tasks")));
describe("parked jobs", () => parkedStoreSuite(only(open, "parked")));
describe("buried jobs", () => buriedStoreSuite(only(open, "buried")));
describe("scale", () => scaleStoreSuite(only(open, "scale")));
