import { countReady, enqueueAll, isParked } from "./enqueue.ts";
import { heldOf, nothingHeld } from "./held.ts";
import { secondsSince, type World, waitFor } from "./world.ts";

const SAFE_JOBS = 5;
const JOBS = 12;
const SECONDS = 3;

/** Safe-stop: what runs finishes, and then the partition is stopped by itself. */
export async function safeStop(world: World): Promise<void> {
  const { api, progress, checks, clock } = world;
  await enqueueAll(world, "acme", sleepJobs(SAFE_JOBS));
  await waitFor(world, { what: "acme's jobs to start", deadlineMs: 30_000 }, async () => ((await isWaiting(world, "acme", 0)) ? undefined : true));
  const startedAt = clock.monotonic();
  const asked = await api.safeStop("acme");
  checks.that(asked.status === "draining", "a partition with running jobs drains after safe-stop", asked.status);
  const stopped = await waitFor(world, { what: "acme to be stopped", deadlineMs: 30_000 }, async () => {
    const now = await api.partition("acme");
    return now.status === "stopped" ? now : undefined;
  });
  const held = heldOf(stopped);
  const cutOff = await countReady(world, "acme");
  checks.that(held === 0, "nothing of acme is held once it is stopped", held);
  checks.that(cutOff === 0, "no running job was cut off by safe-stop", cutOff);
  progress.line(`  safe-stop: acme was stopped after ${secondsSince(clock, startedAt)}; ${SAFE_JOBS} jobs finished, ${cutOff} were cut off`);
}

/** Stop: running jobs go back to the queue; nothing is lost; started again, the rest is done. */
export async function stopAndStartAgain(world: World): Promise<void> {
  const { api, progress, checks } = world;
  await enqueueAll(world, "globex", sleepJobs(JOBS));
  await waitFor(world, { what: "globex's first jobs to start", deadlineMs: 30_000 }, async () =>
    (await isWaiting(world, "globex", JOBS - 1)) ? undefined : true,
  );
  const { status } = await api.stop("globex");
  const held = heldOf(await nothingHeld(world, "globex"));
  const left = await countReady(world, "globex");
  checks.that(status === "stopped" && held === 0, "nothing of globex runs after stop", { status, held });
  checks.that(left > 0 && left <= JOBS, "work is left in globex's queue after stop", left);
  progress.line(`  stop: globex is ${status}, ${held} jobs run, ${left} of ${JOBS} remain in its queue`);

  await api.start("globex", { queues: { default: 8 } });
  await waitFor(world, { what: "globex to finish what was left", deadlineMs: 60_000, everyMs: 500 }, async () => {
    const ready = await countReady(world, "globex");
    progress.bar({ done: JOBS - ready, total: JOBS, note: "started again" });
    if (ready > 0) return undefined;
    // The queue is empty, the last jobs run: safe-stop tells when they have finished, and what had not begun shows again.
    await api.safeStop("globex");
    const drained = await nothingHeld(world, "globex");
    if (drained.status === "stopped" && (await countReady(world, "globex")) === 0) return true;
    await api.start("globex", { queues: { default: 8 } });
    return undefined;
  });
  progress.line("  started again: globex finished all that was left");
}

function sleepJobs(count: number): { name: string; args: { seconds: number } }[] {
  return Array.from({ length: count }, () => ({ name: "sleep", args: { seconds: SECONDS } }));
}

/** Whether more than `allowed` jobs have not been handed to a task yet. */
async function isWaiting(world: World, partition: string, allowed: number): Promise<boolean> {
  return (await isParked(world, partition)) || (await countReady(world, partition)) > allowed;
}
