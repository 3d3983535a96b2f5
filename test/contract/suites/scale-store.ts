import { beforeEach, expect, it } from "vitest";
import type { ScaleStore } from "../../../core/partition/scale-store.ts";
import type { Make } from "./world.ts";

const NOW = 1_900_000_000_000;
const POOLS = { default: { desired: 3, quietPasses: 1 }, big_pool: { desired: 0, quietPasses: 0 } };

export function scaleStoreSuite(make: Make<ScaleStore>): void {
  let store: ScaleStore;
  beforeEach(async () => {
    ({ store } = await make());
  });

  it("numbers wishes, each its own", async () => {
    const wishes = await Promise.all(Array.from({ length: 16 }, () => store.wish()));
    expect(wishes.sort((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
  });

  it("begins without any wish, and remembers what the pass made of the pools", async () => {
    expect(await store.begin("a", NOW, NOW + 1_000)).toEqual({ pools: {}, wish: 0 });
    expect(await store.finish("a", 0, POOLS)).toBe(true);
    expect(await store.begin("b", NOW, NOW + 1_000)).toEqual({ pools: POOLS, wish: 0 });
  });

  it("lets one of many runners begin", async () => {
    const passes = await Promise.all(Array.from({ length: 16 }, (_, i) => store.begin(`runner-${i}`, NOW, NOW + 1_000)));
    expect(passes.filter((pass) => pass !== undefined)).toHaveLength(1);
  });

  it("lets another begin only once the claim has lapsed or the pass has ended", async () => {
    await store.begin("a", NOW, NOW + 1_000);
    expect(await store.begin("b", NOW + 999, NOW + 5_000)).toBeUndefined();
    expect(await store.begin("b", NOW + 1_000, NOW + 5_000)).toBeDefined();
    expect(await store.finish("a", 0, POOLS)).toBe(false);
    expect(await store.finish("b", 0, POOLS)).toBe(true);
    expect(await store.begin("c", NOW, NOW + 1)).toBeDefined();
  });

  it("does not end a pass over a wish that came meanwhile; its runner begins again at once", async () => {
    await store.wish();
    expect(await store.begin("a", NOW, NOW + 1_000)).toEqual({ pools: {}, wish: 1 });
    await store.wish();
    expect(await store.finish("a", 1, POOLS)).toBe(false);
    expect(await store.begin("b", NOW, NOW + 1_000)).toBeUndefined();
    expect(await store.begin("a", NOW, NOW + 1_000)).toEqual({ pools: {}, wish: 2 });
    expect(await store.finish("a", 2, POOLS)).toBe(true);
    expect(await store.finish("a", 2, POOLS)).toBe(false);
  });

  it("loses no wish, however wishes and passes interleave", async () => {
    let passes = 0;
    let seen = 0;
    async function visit(runner: string): Promise<void> {
      const wish = await store.wish();
      for (let round = 0; round < 100; round++) {
        const pass = await store.begin(runner, NOW, NOW + 60_000);
        if (pass === undefined) return;
        passes += 1;
        seen = Math.max(seen, pass.wish);
        if (await store.finish(runner, pass.wish, {})) return;
      }
      throw new Error(`wish ${wish} was never served`);
    }
    await Promise.all(Array.from({ length: 12 }, (_, i) => visit(`runner-${i}`)));
    expect(seen).toBe(12);
    expect(passes).toBeLessThanOrEqual(24);
  });
}
