import { setTimeout as wait } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { totalHeld } from "../../core/partition/partition.ts";
import { alive } from "../fixture/alive.ts";
import { Faults } from "../fixture/chaos/faults.ts";
import type { History } from "../fixture/chaos/history.ts";
import { runsIn } from "../fixture/chaos/lines.ts";
import { Load } from "../fixture/chaos/load.ts";
import { leftovers, unfinished, verdict } from "../fixture/chaos/verdict.ts";
import { ChaosWorld } from "../fixture/chaos/world.ts";
import { until } from "../fixture/pool.ts";
import { randomOf } from "../fixture/random.ts";

/** Another one, for longer: `ROGER_CHAOS_SEED=7 ROGER_CHAOS_SECONDS=240 npm test -- faults`. A seed chooses what happens; when, the machine has a say in. With `ROGER_CHAOS_DIR` what was recorded stays there. */
const seed = Number(process.env.ROGER_CHAOS_SEED ?? Math.floor(Math.random() * 1e6));
const seconds = Number(process.env.ROGER_CHAOS_SECONDS ?? 12);
/** What comes to its end only when a dead task's lease has run out, or a wake-up was lost. */
const SETTLE_MS = 300_000;
const MOST_SHOWN = 40;

it(
  "whatever fails, max_workers holds, keys exclude, and each accepted job comes to its one end",
  async () => {
    console.log(`seed ${seed}, ${seconds} s`);
    const releases = new AsyncDisposableStack();
    const partitions = ["one", "two", "three"];
    const world = await ChaosWorld.open({ partitions, tasks: { min: 2, max: 4 }, slots: 8, keep: process.env.ROGER_CHAOS_DIR }, releases);
    onTestFinished(async ({ task }) => {
      if (task.result?.state === "fail") console.log(world.journal.join("\n"));
      await releases.disposeAsync();
    });
    const load = new Load(world, randomOf(seed), partitions);
    const faults = new Faults(world, randomOf(seed + 1), partitions, load.jobs);
    const history = async (): Promise<History> => ({
      runs: runsIn(world.records),
      jobs: load.jobs,
      rows: world.rows,
      asked: faults.asked,
      freezes: world.freezes,
      deaths: world.deaths,
      buried: await world.buried(),
    });

    const queues = partitions.flatMap((partition) => [`${partition}-fast`, `${partition}-slow`]);
    await faults.begin();
    await until("all queues are there", async () => !Object.values(await world.depths(queues)).includes(undefined), 60_000);
    const signal = AbortSignal.timeout(seconds * 1_000);
    await Promise.all([load.run(signal, 300), faults.run(signal, 1_200)]);
    await faults.mend();
    world.note("all faults are over");
    await until("every answer is there", () => load.settle(), 60_000);
    const restless = async (): Promise<string[]> => {
      const left = unfinished(await history());
      if (left.length > 0) return left;
      const { runs, deaths } = await history();
      // A key that is its own outbox, too: nobody was told that its job is accepted, and a pump brings it all the same.
      const parked = (await world.items()).filter(({ pk, state }) => String(pk).startsWith("PARKED#") || state === "publishing");
      const full = Object.entries(await world.depths(queues)).filter(([, depth]) => depth !== 0);
      const running = runs.filter(({ to, pid }) => to === undefined && !deaths.has(pid));
      return [...leftovers(parked), ...full.map((queue) => `ready: ${queue}`), ...running.map(({ name, job }) => `${name} ${job} still runs`)];
    };
    const left = await settled(restless, SETTLE_MS);
    for (const partition of partitions) await world.cloud.api.stop(partition);
    const held = async () => {
      const rows = await Promise.all(partitions.map((id) => world.store.partitions.get(id)));
      return rows
        .filter((row) => row === undefined || totalHeld(row) > 0)
        .map((row) => `${row?.id} is stopped and held: ${JSON.stringify(row?.shares)}`);
    };
    left.push(...(await settled(held, 60_000)));
    world.note("all is at rest");
    const table = leftovers(await world.items());
    const dead = (await world.depths(["roger.dead"]))["roger.dead"] ?? 0;
    const seen = await history();
    const kinds = Object.entries(Object.groupBy(seen.runs, ({ how }) => how ?? "killed")).map(([how, runs]) => `${runs?.length} ${how}`);
    console.log(
      `${seen.jobs.length} jobs asked, ${seen.jobs.filter(({ acceptedAt }) => acceptedAt !== undefined).length} accepted; runs: ${kinds.join(", ")}; ${seen.buried.length} buried; ${world.deaths.size} tasks ended, ${world.freezes.length} frozen`,
    );
    const wrong = [...verdict(seen), ...load.wrong, ...faults.wrong, ...left, ...table, ...(dead > 0 ? [`${dead} dead letters`] : [])];
    await releases.disposeAsync();
    expect(wrong.slice(0, MOST_SHOWN), `${wrong.length} in all`).toEqual([]);
    expect(world.cloud.ecs.tasks.filter(({ pid }) => pid !== undefined && alive(pid))).toEqual([]);
  },
  SETTLE_MS + seconds * 1_000 + 300_000,
);

/** Looks until nothing is left, or the time is over. @returns what was left then */
async function settled(look: () => Promise<string[]>, deadlineMs: number): Promise<string[]> {
  const deadline = performance.now() + deadlineMs;
  for (;;) {
    const left = await look();
    if (left.length === 0 || performance.now() > deadline) return left;
    await wait(Math.min(1_000, 100 + left.length * 10));
  }
}
