import type { Belonging, Belongings } from "../core/partition/belongings.ts";
import { asPort, type Steps } from "./calls.ts";
import type { MemoryState, MemoryWorld } from "./memory-state.ts";

/** Removes some items of one kind. @returns whether there were any */
type RemoveSome = (state: MemoryState, partition: string, limit: number) => boolean;

const KINDS: Readonly<Record<Belonging, readonly RemoveSome[]>> = {
  waiting: [named("queueKeys"), named("parked")],
  rest: [named("buried"), named("locks"), named("waiters"), named("suspects"), cancels],
};

/** The twin of store/belongings.ts. The waiters of one key go as one item. */
export function memoryBelongings({ state, hook }: MemoryWorld): Belongings {
  const steps: Steps<Belongings> = {
    // One kind is gone before the next begins: what a pump makes a parked job of must not come after it.
    removeSome: (partition, what, limit) => KINDS[what].some((removeSome) => removeSome(state, partition, limit)),
  };
  return asPort("belongings", steps, hook);
}

function named(kind: "queueKeys" | "parked" | "buried" | "locks" | "waiters" | "suspects"): RemoveSome {
  return (state, partition, limit) => {
    const found = Object.keys(state[kind]).filter((name) => name.startsWith(`${partition}/`));
    for (const name of found.slice(0, limit)) delete state[kind][name];
    return found.length > 0;
  };
}

function cancels(state: MemoryState, partition: string, limit: number): boolean {
  const marks = Object.entries(state.cancels[`${partition}/`] ?? {});
  if (marks.length <= limit) delete state.cancels[`${partition}/`];
  else state.cancels[`${partition}/`] = Object.fromEntries(marks.slice(limit));
  return marks.length > 0;
}
