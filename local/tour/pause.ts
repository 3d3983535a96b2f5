import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { countReady, enqueueAll, isParked } from "./enqueue.ts";
import { compareDigests, countResults, realFiles } from "./files.ts";
import { nothingHeld } from "./held.ts";
import { type World, waitFor } from "./world.ts";

const JOBS = 20;
/** Idle tasks would have run all of the jobs many times over in this time. */
const WATCH_MS = 2_000;

/** A paused queue takes jobs and starts none; resumed, it runs them all. */
export async function pauseAndResume(world: World): Promise<void> {
  const { api, progress, checks, signal } = world;
  const out = join(world.dir, "paused.txt");
  await writeFile(out, "");
  const paths = await realFiles(JOBS);

  await api.pause("acme", "default");
  await nothingHeld(world, "acme", "default");
  await enqueueAll(
    world,
    "acme",
    paths.map((path) => ({ name: "hash-file", args: { path, out } })),
  );
  await waitFor(world, { what: "the paused queue's jobs to be queued", deadlineMs: 30_000 }, async () =>
    (await isParked(world, "acme")) ? undefined : true,
  );
  await sleep(WATCH_MS, undefined, { signal });
  const ready = await countReady(world, "acme");
  const started = await countResults(out);
  checks.that(started === 0, "nothing starts while the queue is paused", `${started} results`);
  checks.that(ready === JOBS, `all ${JOBS} jobs wait in the paused queue`, ready);
  progress.line(`  paused acme's default: ${ready} of ${JOBS} jobs wait, ${started} have run`);

  await api.resume("acme", "default");
  await waitFor(world, { what: "the resumed queue's results", deadlineMs: 30_000 }, async () => {
    const done = await countResults(out);
    progress.bar({ done, total: JOBS, note: "resumed" });
    return done === JOBS ? done : undefined;
  });
  const { right } = await compareDigests(paths, out);
  checks.that(right === JOBS, `all ${JOBS} digests are right after resume`, right);
  progress.line(`  resumed: ${right} of ${JOBS} right`);
}
