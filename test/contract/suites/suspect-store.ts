import { beforeEach, expect, it } from "vitest";
import type { SuspectStore } from "../../../core/job/suspects.ts";
import type { Make, TestClock } from "./world.ts";

const P = "acme.corp-1";
const ID = "0192f3a4-1.2:x-9";
const WEEK_MS = 7 * 24 * 3600 * 1000;

export function suspectStoreSuite(make: Make<SuspectStore>): void {
  let store: SuspectStore;
  let clock: TestClock;
  beforeEach(async () => {
    ({ store, clock } = await make());
  });

  it("counts a job's starts, this one included", async () => {
    for (const n of [1, 2, 3, 4, 5, 6, 7]) expect(await store.started(P, ID)).toBe(n);
  });

  it("tells how many there were, and counts none by that", async () => {
    expect(await store.starts(P, ID)).toBe(0);
    await store.started(P, ID);
    await store.started(P, ID);
    expect(await store.starts(P, ID)).toBe(2);
    expect(await store.starts(P, ID)).toBe(2);
    clock.advance(WEEK_MS + 1_000);
    expect(await store.starts(P, ID)).toBe(0);
  });

  it("keeps jobs and partitions apart", async () => {
    await store.started(P, ID);
    expect(await store.started(P, "another")).toBe(1);
    expect(await store.started("other", ID)).toBe(1);
    expect(await store.started(P, ID)).toBe(2);
  });

  it("forgets the count at an orderly end, of that job only", async () => {
    await store.started(P, ID);
    await store.started(P, ID);
    await store.started(P, "another");
    await store.cleared(P, ID);
    expect(await store.started(P, ID)).toBe(1);
    expect(await store.started(P, "another")).toBe(2);
  });

  it("clears what was never counted, and what is cleared", async () => {
    await store.cleared(P, ID);
    await store.started(P, ID);
    await store.cleared(P, ID);
    await store.cleared(P, ID);
    expect(await store.started(P, ID)).toBe(1);
  });

  it("forgets the count 7 days after the last start, whether or not it is still in the table", async () => {
    await store.started(P, ID);
    clock.advance(WEEK_MS - 1_000);
    expect(await store.started(P, ID)).toBe(2);
    clock.advance(WEEK_MS - 1_000);
    expect(await store.started(P, ID)).toBe(3);
    clock.advance(WEEK_MS + 1_000);
    expect(await store.started(P, ID)).toBe(1);
    expect(await store.started(P, ID)).toBe(2);
  });

  it("counts each of many at once", async () => {
    const counts = await Promise.all(Array.from({ length: 32 }, () => store.started(P, ID)));
    expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
  });

  it("counts each of many at once when the last count has lapsed", async () => {
    for (let i = 0; i < 3; i++) await store.started(P, ID);
    clock.advance(WEEK_MS + 1_000);
    const counts = await Promise.all(Array.from({ length: 32 }, () => store.started(P, ID)));
    expect(counts.sort((a, b) => a - b)).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
  });
}
