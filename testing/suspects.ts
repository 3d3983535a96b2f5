import type { SuspectStore } from "../core/job/suspects.ts";
import { asPort, type Steps } from "./calls.ts";
import type { MemoryWorld } from "./memory-state.ts";

const KEEP_MS = 7 * 24 * 3600 * 1000;

/** The twin of store/suspects.ts. */
export function memorySuspects({ state, clock, hook }: MemoryWorld): SuspectStore {
  const countOf = (partition: string, id: string): number => {
    const found = state.suspects[`${partition}/${id}`];
    return found !== undefined && clock.now() < found.expires ? found.count : 0;
  };
  const steps: Steps<SuspectStore> = {
    starts: countOf,
    started: (partition, id) => {
      const count = countOf(partition, id) + 1;
      state.suspects[`${partition}/${id}`] = { count, expires: clock.now() + KEEP_MS };
      return count;
    },
    cleared: (partition, id) => {
      delete state.suspects[`${partition}/${id}`];
    },
  };
  return asPort("suspects", steps, hook);
}
