import type { QueueKey } from "../contract/names.ts";
import type { Partition, PartitionStatus } from "./partition.ts";

/** The cluster's version, and one counter for each group of partition rows: what workers poll. */
export interface ClusterVersion {
  readonly version: number;
  /** Index: the group; value: how often something in it changed. */
  readonly shards: readonly number[];
}

export interface ShareMove {
  readonly partition: string;
  /** The revision that the mover acts on. A raise is refused under any other; lowering is always allowed. */
  readonly revision: number;
  readonly key: QueueKey;
  readonly task: string;
  /** What the mover believes it holds. */
  readonly from: number;
  readonly to: number;
  /** The queue's `max_workers`, for a raise. */
  readonly maxWorkers: number;
}

export interface PartitionStore {
  /** Strongly consistent. Tombstones are returned, too. */
  get(id: string): Promise<Partition | undefined>;
  /** A page of rows in no order that means anything, tombstones left out. */
  list(page: {
    readonly limit: number;
    readonly cursor?: string;
    readonly status?: PartitionStatus;
  }): Promise<{ partitions: Partition[]; cursor?: string }>;
  /** All rows of one group, strongly consistent, tombstones included. */
  readShard(shard: number): Promise<Partition[]>;
  readVersion(): Promise<ClusterVersion>;
  /**
   * Writes what a command made of a partition: bumps the version, writes the row if its revision is still `before`'s
   * (absent: if there is no row), bumps again. Only the fields that belong to commands are written; entries of `held` and
   * `shares` come and go as they do in `after`, and a queue whose entries go is remembered in `formerQueues` first.
   * @returns the row as written; `undefined` when another command came first: read again and decide anew
   */
  commit(before: Partition | undefined, after: Partition): Promise<Partition | undefined>;
  /** Queues that the partition listed once and whose entries its row has no more: RabbitMQ may have them, and jobs in them. */
  formerQueues(id: string): Promise<string[]>;
  /** Has every task look at these groups of rows, at least one: shares move without a word, and somebody should see that they did. */
  announce(shards: readonly number[]): Promise<void>;
  /**
   * Moves one task's share by one expression.
   * @returns the row afterwards when moved; when not, the row as it is now, or `undefined` when it is gone
   */
  moveShare(move: ShareMove): Promise<{ moved: boolean; partition: Partition | undefined }>;
  /** Takes away what a dead task holds. @returns whether it was still `share` */
  evictShare(partition: string, key: QueueKey, task: string, share: number): Promise<boolean>;
  /**
   * Tells the tasks that the partition has a new cancel marker: moves its `cancelSeq`, with a bump before and after.
   * @returns `false` when there is no such partition, or only its tombstone
   */
  announceCancel(id: string): Promise<boolean>;
  /** `draining` becomes `stopped` if nothing is held. @returns whether this call did it */
  settleDrained(partition: Partition): Promise<boolean>;
  /** `deleting` becomes a tombstone if nothing is held. @returns whether this call did it */
  bury(partition: Partition, now: number): Promise<boolean>;
}
