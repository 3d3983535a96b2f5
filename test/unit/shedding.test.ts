import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { shardOf } from "../../core/partition/partition.ts";
import { Shedding } from "../../worker/shedding.ts";
import type { Turns } from "../../worker/turns.ts";
import type { LetGo } from "../../worker/workforce.ts";

const AFTER_MS = 1_000;
const ANNOUNCE_MS = 5_000;

function setUp() {
  const state = { fullForMs: 0, freeForMs: 0, connected: true, letGo: [] as LetGo[], away: false };
  const looks: boolean[] = [];
  const announced: (readonly number[])[] = [];
  const troubles: unknown[] = [];
  let unshed = 0;
  const shedding = new Shedding({
    turns: state as unknown as Turns,
    workforce: {
      shedIdleQueues: (forAll) => {
        looks.push(forAll);
        return state.letGo.splice(0);
      },
      unshed: () => void unshed++,
    },
    partitions: {
      announce: async (shards) => {
        if (state.away) throw new Error("the table is away");
        announced.push(shards);
      },
    },
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    emit: (event) => void troubles.push(event),
    afterMs: AFTER_MS,
    announceMs: ANNOUNCE_MS,
    connected: () => state.connected,
  });
  const letGo = (...ids: string[]): void =>
    void state.letGo.push(...ids.map((partition) => ({ partition, worker: { rested: async () => undefined } })));
  return { shedding, state, looks, announced, troubles, letGo, unshed: () => unshed };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

it("lets go once the slots have stayed full, and takes up again only once one has stayed free for much longer", async () => {
  const { shedding, state, looks, unshed } = setUp();
  await shedding.start();
  state.fullForMs = AFTER_MS - 1;
  await vi.advanceTimersByTimeAsync(1_000);
  expect([shedding.full, looks.length]).toEqual([false, 0]);
  state.fullForMs = AFTER_MS;
  await vi.advanceTimersByTimeAsync(300);
  expect([shedding.full, looks[0]]).toEqual([true, false]);
  Object.assign(state, { fullForMs: 0, freeForMs: 5 * AFTER_MS - 1 });
  await vi.advanceTimersByTimeAsync(1_000);
  expect([shedding.full, unshed()]).toEqual([true, 0]);
  state.freeForMs = 5 * AFTER_MS;
  await vi.advanceTimersByTimeAsync(300);
  expect([shedding.full, unshed()]).toEqual([false, 1]);
  await shedding.stop();
});

it("lets everything go that may wait elsewhere once RabbitMQ has been away for a while, and is full until it is back", async () => {
  const { shedding, state, looks } = setUp();
  await shedding.start();
  Object.assign(state, { connected: false, freeForMs: 1e9 });
  await vi.advanceTimersByTimeAsync(900);
  expect(shedding.full).toBe(false);
  await vi.advanceTimersByTimeAsync(500);
  expect([shedding.full, looks.at(-1)]).toEqual([true, true]);
  state.connected = true;
  await vi.advanceTimersByTimeAsync(300);
  expect(shedding.full).toBe(false);
  await shedding.stop();
});

it("tells peers of what waits for them, each group of rows once, and not too often", async () => {
  const { shedding, state, announced, letGo } = setUp();
  await shedding.start();
  state.fullForMs = AFTER_MS;
  letGo("acme", "globex", "acme");
  await vi.advanceTimersByTimeAsync(300);
  expect(announced).toEqual([[shardOf("acme"), shardOf("globex")]]);
  letGo("initech");
  await vi.advanceTimersByTimeAsync(300);
  letGo("hooli");
  await vi.advanceTimersByTimeAsync(4_000);
  expect(announced).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(announced).toEqual([
    [shardOf("acme"), shardOf("globex")],
    [shardOf("initech"), shardOf("hooli")],
  ]);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(announced).toHaveLength(2);
  await shedding.stop();
});

it("tells them later when the table is away", async () => {
  const { shedding, state, announced, troubles, letGo } = setUp();
  await shedding.start();
  Object.assign(state, { fullForMs: AFTER_MS, away: true });
  letGo("acme");
  await vi.advanceTimersByTimeAsync(300);
  expect([announced.length, troubles.length]).toEqual([0, 1]);
  state.away = false;
  await vi.advanceTimersByTimeAsync(ANNOUNCE_MS + 300);
  expect(announced).toEqual([[shardOf("acme")]]);
  await shedding.stop();
});
