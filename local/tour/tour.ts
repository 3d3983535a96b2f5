import { deletePartitions } from "./deleting.ts";
import { buryAJob } from "./failing-job.ts";
import { hashFiles } from "./hash-files.ts";
import { pauseAndResume } from "./pause.ts";
import { safeStop, stopAndStartAgain } from "./stopping.ts";
import { secondsSince, type World } from "./world.ts";

const STEPS: readonly { readonly title: string; readonly run: (world: World) => Promise<void> }[] = [
  { title: "Two tenants hash real files", run: hashFiles },
  { title: "A queue is paused and resumed", run: pauseAndResume },
  { title: "A job that fails is buried", run: buryAJob },
  { title: "A partition is stopped safely", run: safeStop },
  { title: "A partition is stopped with work left, and started again", run: stopAndStartAgain },
  { title: "The tenants leave", run: deletePartitions },
];

/** Runs every step, in order, through the HTTP API. What they found is in the world's checks. @throws when a step can't go on */
export async function runTour(world: World): Promise<void> {
  for (const [i, { title, run }] of STEPS.entries()) {
    world.signal.throwIfAborted();
    const startedAt = world.clock.monotonic();
    world.progress.line(`${i + 1}. ${title}`);
    await orAborted(world.signal, run(world));
    world.progress.line(`   (${secondsSince(world.clock, startedAt)})`);
  }
}

/** A request that is under way can't be called back: whoever must end doesn't wait for its answer. */
function orAborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  return Promise.race([work, new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }))]);
}

/** The last lines: what was as it must be, and what differed. */
export function summary({ checks, clock }: World, startedAt: number): string {
  const { right, wrong } = checks;
  const head = `${right.length} of ${right.length + wrong.length} checks right, in ${secondsSince(clock, startedAt)}`;
  return [head, ...wrong.map((what) => `  DIFFERS: ${what}`)].join("\n");
}
