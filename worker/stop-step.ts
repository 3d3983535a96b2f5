import type { Emit } from "./events.ts";
import { endsWithin } from "./within.ts";

export interface StopStep {
  /** What it does, for people. */
  readonly name: string;
  /** It is waited for no longer than this. */
  readonly ms: number;
  readonly emit: Emit;
}

/**
 * Waits for one step of a stop, within its time. What is late goes on, and nobody waits for it any more; what fails ends its
 * own step only.
 * @returns whether it was done
 */
export async function doneInTime({ name, ms, emit }: StopStep, work: Promise<unknown>): Promise<boolean> {
  const done = work.then(
    () => true,
    (error: unknown) => {
      emit({ type: "trouble", doing: `stopping: ${name}`, error });
      return false;
    },
  );
  if (await endsWithin(ms, done)) return done;
  emit({ type: "stop_late", step: name });
  return false;
}
