import { InvalidInput } from "./errors.ts";

/** Partition ids: letters, digits, `_`, `.`, `-`; at most 64 characters. */
export const PARTITION_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
/** Queue and pool names. They hold no hyphen, so `<partition>-<queue>` names exactly one pair. */
export const QUEUE_PATTERN = /^[a-z][a-z0-9_]{0,31}$/;
export const POOL_PATTERN = QUEUE_PATTERN;
/** Job names: what `defineJob` registers and envelopes carry. */
export const JOB_NAME_PATTERN = /^[A-Za-z][A-Za-z0-9_.:-]{0,99}$/;
/** Job ids: ours are UUIDs version 7, a caller's own may be any of these. */
export const JOB_ID_PATTERN = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/;
export const DEFAULT_POOL = "default";
export const DEFAULT_QUEUE = "default";
/** Dead letters of every tenant's queue end here; a worker turns them into buried jobs. */
export const DEAD_QUEUE = "roger.dead";

/** What the patterns want, in words. */
export const NAMING = {
  partition: "letters, digits, _ . and -, the first a letter or a digit; at most 64",
  queue: "lower-case letters, digits and _, the first a letter; at most 32",
  jobName: "letters, digits, _ . : and -, the first a letter; at most 100",
  jobId: "letters, digits, _ . : and -, the first a letter or a digit; at most 128",
} as const;

/** n.b. callers of these need not have been compiled: `pattern.test(undefined)` looks at the word "undefined". */
function check(pattern: RegExp, words: string, field: string, value: string): string {
  if (typeof value !== "string") throw new InvalidInput(field, value === undefined ? "is missing" : "must be a text");
  if (pattern.test(value)) return value;
  throw new InvalidInput(field, `"${value.slice(0, 80)}" does not fit: ${words}`);
}

/** @throws InvalidInput naming `field` */
export const checkPartition = (value: string, field = "partition"): string => check(PARTITION_PATTERN, NAMING.partition, field, value);
/** @throws InvalidInput naming `field` */
export const checkQueue = (value: string, field = "queue"): string => check(QUEUE_PATTERN, NAMING.queue, field, value);
/** @throws InvalidInput naming `field` */
export const checkPool = (value: string, field = "pool"): string => check(POOL_PATTERN, NAMING.queue, field, value);
/** @throws InvalidInput naming `field` */
export const checkJobName = (value: string, field = "name"): string => check(JOB_NAME_PATTERN, NAMING.jobName, field, value);
/** @throws InvalidInput naming `field` */
export const checkJobId = (value: string, field: string): string => check(JOB_ID_PATTERN, NAMING.jobId, field, value);

/** The RabbitMQ queue of a partition's queue. */
export function brokerQueue(partition: string, queue: string): string {
  return `${partition}-${queue}`;
}

/** The inverse of `brokerQueue`: a queue name holds no hyphen, so the last one is the seam. */
export function splitBrokerQueue(name: string): { partition: string; queue: string } | undefined {
  const seam = name.lastIndexOf("-");
  if (seam <= 0) return undefined;
  const partition = name.slice(0, seam);
  const queue = name.slice(seam + 1);
  return PARTITION_PATTERN.test(partition) && QUEUE_PATTERN.test(queue) ? { partition, queue } : undefined;
}

/** `<pool>/<queue>`: how a partition's row names one queue of one pool. */
export type QueueKey = `${string}/${string}`;

export function queueKey(pool: string, queue: string): QueueKey {
  return `${pool}/${queue}`;
}

export function splitQueueKey(key: QueueKey): { pool: string; queue: string } {
  const seam = key.indexOf("/");
  return { pool: key.slice(0, seam), queue: key.slice(seam + 1) };
}
