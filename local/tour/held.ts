import type { PartitionView } from "../../client/views.ts";
import { type World, waitFor } from "./world.ts";

/** How much of a partition's `max_workers` tasks hold: exact, and nobody starts a job without holding. */
export function heldOf({ queues }: PartitionView, queue?: string): number {
  return queues.filter((view) => queue === undefined || view.queue === queue).reduce((sum, { held }) => sum + held, 0);
}

/** Waits until tasks hold nothing of a queue, or of the whole partition. @returns the partition as it then is */
export function nothingHeld(world: World, partition: string, queue?: string): Promise<PartitionView> {
  return waitFor(world, { what: `tasks to let go of ${partition}`, deadlineMs: 30_000 }, async () => {
    const view = await world.api.partition(partition);
    return heldOf(view, queue) === 0 ? view : undefined;
  });
}
