import { RogerError } from "../contract/errors.ts";
import { listedQueues, type Partition } from "../partition/partition.ts";

/** There is no such partition, or it is being deleted: nothing was enqueued. */
export class UnknownPartition extends RogerError {
  readonly partition: string;

  constructor(partition: string) {
    super("unknown_partition", `there is no partition "${partition}"`);
    this.name = "UnknownPartition";
    this.partition = partition;
  }
}

/** The partition lists no such queue in any pool: nothing was enqueued. */
export class UnknownQueue extends RogerError {
  readonly partition: string;
  readonly queue: string;

  constructor(partition: string, queue: string, listed: readonly string[]) {
    super("unknown_queue", `partition ${partition} has no queue "${queue}"; it has ${listed.join(", ") || "none"}`);
    this.name = "UnknownQueue";
    this.partition = partition;
    this.queue = queue;
  }
}

/**
 * Jobs are taken for every queue that a known partition lists, whether or not it runs.
 * @param row as last read
 * @throws UnknownPartition, UnknownQueue
 */
export function checkDestination(row: Partition | undefined, partition: string, queue: string): void {
  if (row === undefined || row.status === "deleted" || row.status === "deleting") throw new UnknownPartition(partition);
  const listed = listedQueues(row);
  if (!listed.includes(queue)) throw new UnknownQueue(partition, queue, listed);
}
