import { LIMITS } from "../core/contract/limits.ts";
import type { BuriedJob, BuriedStore } from "../core/job/buried.ts";
import { isLater } from "../core/job/life.ts";
import { asPort, type Steps } from "./calls.ts";
import { type MemoryWorld, newRev } from "./memory-state.ts";
import { pageOf } from "./pages.ts";

/** The twin of store/buried.ts. */
export function memoryBuried({ state, clock, hook }: MemoryWorld): BuriedStore {
  const isThere = (job: BuriedJob | undefined): job is BuriedJob => job !== undefined && clock.now() < job.buriedAt + LIMITS.buriedKeepMs;
  const nameOf = (partition: string, id: string): string => `${partition}/${id}`;
  const steps: Steps<BuriedStore> = {
    bury: ({ partition, id, name, queue, attempt, enqueuedAt, reason, buriedAt, error, history, body }) => {
      const found = state.buried[nameOf(partition, id)];
      if (found !== undefined && isLater({ enqueuedAt: 0, ...found }, { enqueuedAt: enqueuedAt ?? 0, attempt })) return;
      const life = enqueuedAt === undefined ? {} : { enqueuedAt };
      const rev = newRev(state);
      state.buried[nameOf(partition, id)] = { partition, id, name, queue, attempt, ...life, reason, buriedAt, error, history, body, rev };
    },
    remove: (partition, id, rev) => {
      if (state.buried[nameOf(partition, id)]?.rev !== rev) return false;
      delete state.buried[nameOf(partition, id)];
      return true;
    },
    get: (partition, id) => {
      const job = state.buried[nameOf(partition, id)];
      return isThere(job) ? job : undefined;
    },
    list: (partition, page) => {
      const jobs = Object.values(state.buried).filter((job) => job.partition === partition && isThere(job));
      const { items, ...more } = pageOf("buried", jobs, page);
      return { jobs: items, ...more };
    },
  };
  return asPort("buried", steps, hook);
}
