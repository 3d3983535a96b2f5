import { randomUUID } from "node:crypto";
import type { PoolService } from "../client/environment.ts";
import { describeError } from "../core/contract/errors.ts";
import { LIMITS } from "../core/contract/limits.ts";
import { splitQueueKey } from "../core/contract/names.ts";
import { type Backlog, neededTasks, nextScale, type ScaleState } from "../core/partition/desired-tasks.ts";
import type { Partition } from "../core/partition/partition.ts";
import type { ClusterVersion, PartitionStore } from "../core/partition/partition-store.ts";
import type { Deps, Scaler } from "./deps.ts";
import type { Services } from "./ecs.ts";
import { isWatched, queueCounts, readTasks, reportsOf, type TaskOverview } from "./live-tasks.ts";
import { isAlive, type PassFacts } from "./metrics.ts";
import { overdueMs } from "./overdue.ts";
import { tidyPartitions } from "./tidy.ts";

/** A claimed pass that has not ended by then is taken for dead; longer than any pass. */
const CLAIM_MS = 60_000;
/** Passes in a row by one runner when wishes keep coming; the last wish is then left to the next tick. */
const MAX_ROUNDS = 5;
/** Groups of partition rows read at the same time. */
const READS_AT_ONCE = 8;

export interface ScalerOptions extends Pick<Deps, "store" | "clock" | "log"> {
  readonly services: Services;
  readonly bounds: readonly PoolService[];
  /** Told of every pass. @default nobody is, and nothing is read for it */
  readonly onPass?: (facts: PassFacts) => void;
}

/** Why a pass is made: by the clock, or for a change. */
interface Reason {
  readonly clock: boolean;
  readonly changedPartition: string | undefined;
}

/**
 * Makes the number of tasks follow the work. Passes run one at a time over the whole deployment: whoever wants one
 * says so first (`wish`), then tries to claim it; if somebody else has it, that one sees the wish before it ends.
 */
export function openScaler(options: ScalerOptions): Scaler {
  const { log } = options;
  const guarded = async (reason: Reason) => {
    try {
      await passes(options, reason);
    } catch (error) {
      // A command has succeeded whether or not scaling has: the next tick makes good what failed here.
      log.error("scaling failed", { error: describeError(error) });
    }
  };
  return {
    request: (changedPartition) => guarded({ clock: false, changedPartition }),
    tick: () => guarded({ clock: true, changedPartition: undefined }),
  };
}

async function passes(options: ScalerOptions, reason: Reason): Promise<void> {
  const { scale } = options.store;
  const runner = randomUUID();
  await scale.wish();
  let known: Readonly<Record<string, ScaleState>> | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const now = options.clock.now();
    const begun = await scale.begin(runner, now, now + CLAIM_MS);
    if (begun === undefined) return;
    // Later rounds are for the wishes of others. They go on from the first one's state, which is not written down yet.
    known = await passOrLetGo(options, known ?? begun.pools, round === 0 ? reason : undefined, () =>
      scale.finish(runner, begun.wish, known ?? begun.pools),
    );
    if (await scale.finish(runner, begun.wish, known)) return;
  }
  options.log.warn("scaling stops until the next tick: wishes keep coming");
}

/** A pass that fails gives its turn back, so that the next one need not wait for the claim to lapse. */
async function passOrLetGo(
  options: ScalerOptions,
  states: Readonly<Record<string, ScaleState>>,
  reason: Reason | undefined,
  letGo: () => Promise<boolean>,
): Promise<Record<string, ScaleState>> {
  try {
    return await scalingPass(options, states, reason);
  } catch (error) {
    await letGo().catch((another: unknown) => options.log.warn("the turn could not be given back", { error: describeError(another) }));
    throw error;
  }
}

/**
 * One pass over all pools. ECS itself is asked how many tasks are desired: people change it, too.
 * @param reason `undefined` for a pass that others wished for
 */
async function scalingPass(
  options: ScalerOptions,
  states: Readonly<Record<string, ScaleState>>,
  reason: Reason | undefined,
): Promise<Record<string, ScaleState>> {
  const { store, clock, log, services, bounds } = options;
  const partitions = await readPartitions(store.partitions);
  const [overview, cluster] = await Promise.all([readTasks(store.tasks, clock.now()), store.partitions.readVersion()]);
  await tidyPartitions(options, partitions, overview);
  const backlog = backlogOf(overview, cluster, reason);
  const desired = await services.desired(bounds.map(({ service }) => service));
  const next: Record<string, ScaleState> = {};
  for (const pool of bounds) {
    const before = desired.get(pool.service);
    if (before === undefined) {
      log.error("there is no such active ECS service", { pool: pool.pool, service: pool.service });
      continue;
    }
    const state = { desired: before, quietPasses: states[pool.pool]?.quietPasses ?? 0 };
    const needed = neededTasks(pool, partitions, backlog);
    // Only the clock's passes may shrink a pool, so that quiet passes count time and not commands.
    const after = reason?.clock || needed >= before ? nextScale(state, needed) : state;
    next[pool.pool] = after;
    await applyScale(options, pool, before, after.desired);
  }
  await tellPass(options, { partitions, overview, desired: Object.values(next).reduce((sum, state) => sum + state.desired, 0) });
  return next;
}

/** n.b. a by-product: whatever keeps it from being told must not keep tasks from being scaled. */
async function tellPass({ store, clock, log, onPass }: ScalerOptions, read: Omit<PassFacts, "at" | "overdueMs">): Promise<void> {
  if (onPass === undefined) return;
  try {
    const at = clock.now();
    // Where nothing runs there need not be a task, and so nobody who would bring parked jobs to their queues.
    const late = read.partitions.some(isAlive) ? await overdueMs(store.parked, at) : 0;
    onPass({ ...read, at, overdueMs: late });
  } catch (error) {
    log.error("a scaling pass could not be told", { error: describeError(error) });
  }
}

/**
 * The backlog as tasks told. Reports leave idle queues out, and take up to 15 s to show a command; until then a changed
 * partition counts as full. Which one changed is known to its own pass; a pass for others has to suspect its whole
 * group. (To suspect the group always would make each command scale out for all the idle neighbours of its partition.)
 */
function backlogOf(overview: TaskOverview, cluster: ClusterVersion, reason: Reason | undefined): Backlog {
  const counts = queueCounts(overview);
  const isIdle = (partition: string, pool: string) =>
    reason === undefined
      ? isWatched(overview, partition, pool, cluster)
      : partition !== reason.changedPartition && reportsOf(overview, pool).length > 0;
  return (partition, key) => {
    const { running, ready, uncounted } = counts(partition, key);
    if (ready !== undefined) return { ready, running };
    if (uncounted) return undefined;
    return isIdle(partition, splitQueueKey(key).pool) ? { ready: 0, running } : undefined;
  };
}

async function applyScale({ services, log }: ScalerOptions, { pool, service }: PoolService, before: number, after: number): Promise<void> {
  if (after === before) return;
  try {
    await services.setDesired(service, after);
    log.info("scaled", { pool, service, before, after });
  } catch (error) {
    // One pool's trouble must not keep the others from scaling; the next pass sees the count as it then is.
    log.error("a service could not be scaled", { pool, service, before, after, error: describeError(error) });
  }
}

/** Every row, tombstones left out. */
async function readPartitions(store: PartitionStore): Promise<Partition[]> {
  const partitions: Partition[] = [];
  for (let shard = 0; shard < LIMITS.partitionShards; shard += READS_AT_ONCE) {
    const shards = Array.from({ length: Math.min(READS_AT_ONCE, LIMITS.partitionShards - shard) }, (_, i) => shard + i);
    for (const rows of await Promise.all(shards.map((s) => store.readShard(s)))) partitions.push(...rows);
  }
  return partitions.filter(({ status }) => status !== "deleted");
}
