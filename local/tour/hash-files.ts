import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PartitionView } from "../../client/views.ts";
import { enqueueAll } from "./enqueue.ts";
import { compareDigests, countResults, realFiles } from "./files.ts";
import { secondsSince, type World, waitFor } from "./world.ts";

const FILES = 400;

/** Two tenants start; a job per real file is enqueued over both; one is reconfigured while it works; every digest is compared. */
export async function hashFiles(world: World): Promise<void> {
  const { api, progress, checks, clock } = world;
  const acme = await api.start("acme", { queues: { default: 10, other: 2 } });
  const globex = await api.start("globex", { queues: { default: 4 } });
  checks.that(acme.status === "running" && globex.status === "running", "both partitions run after start", [acme.status, globex.status]);
  progress.line('  started acme {"default": 10, "other": 2} and globex {"default": 4}');

  const startedAt = clock.monotonic();
  const out = join(world.dir, "digests.txt");
  await writeFile(out, "");
  const paths = await realFiles(FILES);
  const jobs = paths.map((path) => ({ name: "hash-file", args: { path, out } }));
  // Three of four files to acme, every fourth to globex.
  const accepted = await Promise.all([
    enqueueAll(
      world,
      "acme",
      jobs.filter((_, i) => i % 4 !== 0),
    ),
    enqueueAll(
      world,
      "globex",
      jobs.filter((_, i) => i % 4 === 0),
    ),
  ]);
  const ids = accepted.flat();
  checks.that(new Set(ids).size === paths.length, `all ${paths.length} jobs are accepted, each with an id of its own`, ids.length);
  progress.line(`  accepted ${ids.length} hash-file jobs after ${secondsSince(clock, startedAt)}`);

  await follow(world, { out, total: paths.length, until: Math.floor(paths.length / 4) });
  const changed = await api.reconfigure("acme", { queues: { default: 6, other: 4 } });
  checks.that(maxWorkers(changed.queues, "default") === 6, "acme has 6 workers for default after it was reconfigured", changed.queues);
  progress.line('  reconfigured acme to {"default": 6, "other": 4} while it works');

  await follow(world, { out, total: paths.length, until: paths.length });
  const { right, wrong, missing, repeated } = await compareDigests(paths, out);
  checks.that(right === paths.length, `all ${paths.length} digests are right`, { right, wrong: wrong.slice(0, 3), missing: missing.slice(0, 3) });
  const twice = repeated === 0 ? "" : `, ${repeated} of them more than once`;
  progress.line(`  ${right} of ${paths.length} right${twice}, ${secondsSince(clock, startedAt)} after the first request`);
}

async function follow(world: World, { out, total, until }: { readonly out: string; readonly total: number; readonly until: number }): Promise<void> {
  await waitFor(world, { what: `${until} of ${total} results`, deadlineMs: 90_000 }, async () => {
    const [done, ...partitions] = await Promise.all([countResults(out), world.api.partition("acme"), world.api.partition("globex")]);
    world.progress.bar({ done, total, note: whoWorks(partitions) });
    return done >= until ? done : undefined;
  });
}

/** Which task holds how many workers of whom: `task 1f3a5b7c: acme 5, globex 2`. */
function whoWorks(partitions: readonly PartitionView[]): string {
  const held = new Map<string, string[]>();
  for (const { id, queues } of partitions) {
    for (const { queue, shares } of queues) {
      if (queue !== "default") continue;
      for (const [task, share] of Object.entries(shares)) held.set(task, [...(held.get(task) ?? []), `${id} ${share}`]);
    }
  }
  return [...held].map(([task, work]) => `task ${task.slice(0, 8)}: ${work.join(", ")}`).join("; ");
}

function maxWorkers(queues: readonly { readonly queue: string; readonly max_workers: number }[], name: string): number | undefined {
  return queues.find(({ queue }) => queue === name)?.max_workers;
}
