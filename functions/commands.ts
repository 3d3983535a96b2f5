import { setTimeout as sleep } from "node:timers/promises";
import type { PartitionView } from "../client/views.ts";
import { applyCommand, type Command, CommandRefused } from "../core/partition/commands.ts";
import { type Partition, totalHeld } from "../core/partition/partition.ts";
import type { ClusterVersion } from "../core/partition/partition-store.ts";
import type { Deps } from "./deps.ts";
import { hasApplied, readTasks, type TaskOverview } from "./live-tasks.ts";
import { RequestRefused } from "./problem.ts";
import { partitionView } from "./wire.ts";

/** Lost races before a command gives up: each means that another command for the same partition got through. */
const COMMIT_ATTEMPTS = 10;
/** Between two looks of a request that waits. */
const WAIT_POLL_MS = 250;

/** Runs a command, waits for its effect if asked to, and shows the partition as it then is. */
export async function command(deps: Deps, id: string, asked: Command, waitSeconds: number): Promise<PartitionView> {
  const written = await runCommand(deps, id, asked);
  await waitForEffect(deps, written, waitSeconds);
  return partitionNow(deps, id);
}

/** @throws CommandRefused `unknown_partition` */
export async function partitionNow(deps: Deps, id: string): Promise<PartitionView> {
  const [partition, overview, cluster] = await Promise.all([
    knownPartition(deps, id),
    readTasks(deps.store.tasks, deps.clock.now()),
    deps.store.partitions.readVersion(),
  ]);
  return partitionView(partition, overview, cluster);
}

/**
 * Reads the partition, decides by the rules of the core, and writes under the revision that was read; over again
 * when another command came first.
 * @throws InvalidInput, CommandRefused, StoreUnavailable; RequestRefused `conflict` when every race was lost
 */
export async function runCommand(deps: Deps, id: string, command: Command): Promise<Partition> {
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS; attempt++) {
    const before = await deps.store.partitions.get(id);
    const after = applyCommand(id, before, command);
    if (after === before) return after;
    const written = await deps.store.partitions.commit(before, after);
    if (written !== undefined) {
      await deps.scaler?.request(id);
      return written;
    }
    await sleep(Math.random() * 25 * attempt);
  }
  throw new RequestRefused("conflict", `partition ${id} is being changed by others all the time: try again`);
}

/** @throws CommandRefused `unknown_partition`, for tombstones too */
export async function knownPartition(deps: Pick<Deps, "store">, id: string): Promise<Partition> {
  const partition = await deps.store.partitions.get(id);
  if (partition === undefined || partition.status === "deleted") throw new CommandRefused("unknown_partition", `there is no partition "${id}"`);
  return partition;
}

/**
 * Waits until a command has taken effect everywhere: every live task has applied its revision and, if the partition
 * no longer runs, nothing of it is held. Gives up without an error after `seconds`: the answer shows how far it is.
 */
async function waitForEffect(deps: Deps, command: Partition, seconds: number): Promise<void> {
  if (seconds === 0) return;
  const deadline = deps.clock.monotonic() + seconds * 1000;
  // Read after the write, so it counts the command: a task that has come to it, or further, has seen the command.
  const cluster = await deps.store.partitions.readVersion();
  for (;;) {
    const now = await deps.store.partitions.get(command.id);
    if (now === undefined || now.revision !== command.revision) return;
    if (await isSettled(deps, now, cluster)) return;
    const left = deadline - deps.clock.monotonic();
    if (left <= 0) return;
    await sleep(Math.min(WAIT_POLL_MS, left));
  }
}

async function isSettled(deps: Deps, partition: Partition, cluster: ClusterVersion): Promise<boolean> {
  if (partition.status !== "running") {
    if (totalHeld(partition) > 0) return false;
    // The task that gave up the last share should do this; if it died in between, we do.
    if (partition.status === "draining") await deps.store.partitions.settleDrained(partition);
    return true;
  }
  return isApplied(partition, await readTasks(deps.store.tasks, deps.clock.now()), cluster);
}

/** A draining task starts nothing any more: what it has applied does not matter. */
function isApplied(partition: Partition, overview: TaskOverview, cluster: ClusterVersion): boolean {
  return overview.live.filter(({ lease }) => !lease.draining).every(({ report }) => hasApplied(report, partition.id, cluster));
}
