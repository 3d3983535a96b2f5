import { LIMITS } from "../core/contract/limits.ts";
import { type CancelMark, type CancelStore, EVERY_LIFE } from "../core/job/cancels.ts";
import { asPort, type Steps } from "./calls.ts";
import { type CancelRecord, type MemoryWorld, newRev } from "./memory-state.ts";

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
      const { pardoned: _, ...kept } = found ?? {};
      return write(partition, {
        ...kept,
        id,
        at: Math.max(at, found?.at ?? at),
        rev: newRev(state),
        seq: found === undefined ? clock.now() : (found.seq ?? clock.now()) + 1,
        expires: clock.now() + LIMITS.cancelKeepMs,
      });
    },
    list: (partition) => live(partition).map(toMark),
    get: (partition, id) => {
      const found = find(partition, id);
      return found === undefined ? undefined : toMark(found);
    },
    hit: (partition, { job, enqueuedAt }, by) => {
      const found = find(partition, job);
      if (found === undefined || !(found.at > enqueuedAt || found.at === EVERY_LIFE)) return false;
      const isFree = found.hitLife === undefined || found.hitLife < enqueuedAt || (found.hitLife === enqueuedAt && found.hit === by);
      return isFree && write(partition, { ...found, hit: by, hitLife: enqueuedAt });
    },
    pardon: (partition, id, rev) => {
      const found = find(partition, id);
      if (found?.rev === rev) write(partition, { ...found, pardoned: true });
    },
  };
  return asPort("cancels", steps, hook);
}

function toMark({ hit: _, expires: __, ...mark }: CancelRecord): CancelMark {
  return mark;
}
