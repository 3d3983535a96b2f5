import { LIMITS } from "../core/contract/limits.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import { asPort, type Steps } from "./calls.ts";
import type { CancelRecord, MemoryWorld } from "./memory-state.ts";

/**
 * The twin of store/cancels.ts.
 * @param bound markers of one partition at once
 */
export function memoryCancels({ state, clock, hook }: MemoryWorld, bound: number = LIMITS.cancelMarkers): CancelStore {
  const live = (partition: string): CancelRecord[] =>
    Object.values(state.cancels[`${partition}/`] ?? {}).filter(({ expires }) => clock.now() < expires);
  const find = (partition: string, id: string): CancelRecord | undefined => live(partition).find((mark) => mark.id === id);
  const write = (partition: string, mark: CancelRecord): true => {
    state.cancels[`${partition}/`] = { ...state.cancels[`${partition}/`], [mark.id]: mark };
    return true;
  };
  const steps: Steps<CancelStore> = {
    mark: (partition, id, at) => {
      const found = find(partition, id);
      if (found === undefined && live(partition).length >= bound) return false;
      return write(partition, {
        id,
        at: Math.max(at, found?.at ?? at),
        ...(found?.hit === undefined ? {} : { hit: found.hit }),
        expires: clock.now() + LIMITS.cancelKeepMs,
      });
    },
    list: (partition) => live(partition).map(({ id, at }) => ({ id, at })),
    get: (partition, id) => {
      const found = find(partition, id);
      return found === undefined ? undefined : { id, at: found.at };
    },
    hit: (partition, id, by) => {
      const found = find(partition, id);
      return found !== undefined && (found.hit ?? by) === by && write(partition, { ...found, hit: by });
    },
  };
  return asPort("cancels", steps, hook);
}
