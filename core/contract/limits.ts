/**
 * Every bound of the system, in one place, with the relations between them asserted below.
 * Sizes in bytes, times in milliseconds unless a name says otherwise.
 */
export const LIMITS = {
  /** A whole envelope, encoded. RabbitMQ 4 takes 16 MiB; a DynamoDB item 400 KB: a parked job must fit one. */
  envelopeBytes: 256 * 1024,
  /** A message's body as a worker takes it: an envelope, and the history of attempts that it may have gathered. */
  messageBodyBytes: 384 * 1024,
  /** DynamoDB's own bound on an item. */
  itemBytes: 400 * 1024,
  /** Jobs in one `POST …/jobs`. */
  bulkJobs: 100,
  /** The body of one `POST …/jobs` with a list. API Gateway ends at 10 MB, a Lambda's event at 6 MB. */
  bulkBytes: 4 * 1024 * 1024,
  /** The body of any other request. */
  requestBytes: 512 * 1024,
  /** Queues of one partition, over all pools; they share one AMQP channel. */
  queuesPerPartition: 50,
  /** The highest `max_workers`. */
  maxWorkers: 10_000,
  /** Partitions live in this many groups of rows, each with a version counter. Never change it in a live table. */
  partitionShards: 64,
  /** The due index has this many keys, dealt out to the tasks; a partition's items are at two of them. Never change it in a live table. */
  dueShards: 16,
  /** Failed attempts that an envelope and a buried job remember, the latest ones. */
  history: 20,
  /** Kept of an error's stack. */
  stackBytes: 2 * 1024,
  /** Kept of an error's message. */
  messageBytes: 1024,
  /** A job may be asked to wait this long: ten years. */
  delayMs: 10 * 365 * 24 * 3600 * 1000,
  /** Messages published and not confirmed yet, at most. */
  confirmWindow: 200,
  /** Channels on one connection; RabbitMQ's own default bound is 2,047. */
  channelsPerConnection: 1_500,
  /** Buried jobs keep for this long after they were buried: 90 days. */
  buriedKeepMs: 90 * 24 * 3600 * 1000,
  /** A queue key that is done is remembered for so long: late copies of its job are dropped. */
  doneKeyMs: 3600 * 1000,
  /** A freed execution key is kept for the oldest waiter for so long. */
  reservationMs: 30 * 1000,
  /** A job that can't run now (its key is busy, its name unknown, its queue missing) stays parked at most so long before it is looked at again. */
  mostWaitMs: 600 * 1000,
  /** A place in the line for an execution key is kept for so long after its job last asked for the key: 7 days. */
  waiterKeepMs: 7 * 24 * 3600 * 1000,
  /** Bytes of a queue or execution key. */
  keyBytes: 512,
  /** The longest `maxExecutionTime`: a day. */
  maxExecutionMs: 24 * 3600 * 1000,
  /** Cancel markers of one partition at once; each is forgotten after `cancelKeepMs`. */
  cancelMarkers: 10_000,
  /** 7 days. */
  cancelKeepMs: 7 * 24 * 3600 * 1000,
  /** A job that was started more often than this without an orderly end is buried as poison. */
  poisonStarts: 5,
  /** A name that no worker knows is buried after this long: 7 days. */
  unknownNameMs: 7 * 24 * 3600 * 1000,
} as const;

/**
 * The clockwork of a task, see docs/ARCHITECTURE.md. All in milliseconds.
 * A deployment has one set for all its tasks: a reader judges its peers by its own numbers.
 */
export interface Timings {
  /** A task renews its lease this often. @default 5_000 */
  readonly beat: number;
  /** Since the sending of the last good renewal: no new job starts. @default 10_000 */
  readonly noNewJob: number;
  /** … running jobs are aborted. @default 12_000 */
  readonly abort: number;
  /** … the watchdog thread kills the process. @default 18_000 */
  readonly watchdog: number;
  /** A peer that watched an unchanged beat for this long declares the task dead. @default 20_000 */
  readonly dead: number;
  /** What a dead task held may be taken this long after it was declared dead. @default 2_000 */
  readonly takeover: number;
  /** The cluster's version is polled this often. @default 1_000 */
  readonly poll: number;
  /** A changed group of partitions is read again after this long. @default 15_000 */
  readonly reread: number;
  /** A partition's cancel markers are read again at most this often, and a thousandth of it later for each that is known. @default 1_000 */
  readonly cancels: number;
  /** Every group of partitions is read at least this often. @default 64 minutes (one group a minute) */
  readonly sweep: number;
  /** The due index is asked this often. @default 500 */
  readonly pump: number;
  /** A claimed parked job is offered to other pumps again after this long. @default 30_000 */
  readonly pumpClaim: number;
  /** `TASKINFO` is written at most this often. @default 15_000 */
  readonly report: number;
  /** Slots full for this long: queues that run nothing here are let go. @default 1_000 */
  readonly shed: number;
  /** A graceful stop lets jobs run on for this long, then aborts them. @default 90_000 */
  readonly drain: number;
  /** What aborted jobs get to settle in before the process ends. @default 10_000 */
  readonly settle: number;
  /** A job this old moves from its message to a parked item; a delivery that has waited this long goes back. @default 600_000 */
  readonly long: number;
  /** … which it then keeps from falling due by pushing `due` forward this often. @default 20_000 */
  readonly longBeat: number;
  /** … to this far ahead. @default 60_000 */
  readonly longLease: number;
  /** A handler that has not settled this long after its abort is reported as stuck, or its thread is killed. @default 5_000 */
  readonly grace: number;
  /** A hook is waited for no longer than this. @default 10_000 */
  readonly hook: number;
}

export const DEFAULT_TIMINGS: Timings = {
  beat: 5_000,
  noNewJob: 10_000,
  abort: 12_000,
  watchdog: 18_000,
  dead: 20_000,
  takeover: 2_000,
  poll: 1_000,
  reread: 15_000,
  cancels: 1_000,
  sweep: 64 * 60_000,
  pump: 500,
  pumpClaim: 30_000,
  report: 15_000,
  shed: 1_000,
  drain: 90_000,
  settle: 10_000,
  long: 600_000,
  longBeat: 20_000,
  longLease: 60_000,
  grace: 5_000,
  hook: 10_000,
};

/** A task's report that is older says nothing of now: its task is gone or cut off, even if nobody is left to declare it dead. */
export const REPORT_FRESH_MS = 4 * DEFAULT_TIMINGS.report;

/** ECS sends SIGKILL this long after SIGTERM; Fargate allows no more than 120 s. */
export const STOP_TIMEOUT_MS = 120_000;
/** What each step of a stop gets at most, after `drain` for its jobs, `settle` for those aborted, `hook` for hooks and shares. */
export const STOP_PARTS_MS = {
  /** Channels send the acks that wait, and close; what was published is confirmed. */
  channels: 3_000,
  /** All that ticks ends its round; what is owed is tried once more. */
  services: 2_000,
  /** RabbitMQ is told goodbye. */
  connections: 2_000,
  /** The lease ends, or the task declares itself dead. */
  lease: 1_000,
  /** The process ends. */
  exit: 2_000,
} as const;

/** A stop takes no longer than this, whatever does not answer; ms. */
function longestStop({ drain, settle, hook }: Pick<Timings, "drain" | "settle" | "hook">): number {
  return drain + settle + hook + Object.values(STOP_PARTS_MS).reduce((sum, part) => sum + part, 0);
}

/** A publish that is not confirmed by then failed as far as its caller is told. */
export const PUBLISH_DEADLINE_MS = 10_000;
/** A broker out of file handles accepts TCP and never answers: no connect may wait longer. */
export const CONNECT_DEADLINE_MS = 10_000;

/**
 * Checks the relations that the safety of leases rests on.
 * @throws Error naming the broken relation
 */
export function checkTimings(t: Timings): Timings {
  const relations: readonly [string, boolean][] = [
    ["2 x beat <= noNewJob: one lost renewal must not stop a task for longer than its answer takes", 2 * t.beat <= t.noNewJob],
    ["noNewJob < abort < watchdog", t.noNewJob < t.abort && t.abort < t.watchdog],
    ["watchdog < dead: a task must be gone before it is declared dead", t.watchdog < t.dead],
    ["3 x beat < dead", 3 * t.beat < t.dead],
    ["takeover >= 1", t.takeover >= 1],
    ["drain + settle + hook + the other parts of a stop <= stop timeout", longestStop(t) <= STOP_TIMEOUT_MS],
    ["publish deadline < pumpClaim: a claim outlives its publish", PUBLISH_DEADLINE_MS < t.pumpClaim],
    ["poll < reread", t.poll < t.reread],
    ["2 x longBeat < longLease: one lost push must not start the job a second time", 2 * t.longBeat < t.longLease],
    ["abort < longLease: a task that can't push has aborted its jobs by then", t.abort < t.longLease],
  ];
  for (const [relation, holds] of relations) {
    if (!holds) throw new Error(`timings: ${relation} (${JSON.stringify(t)})`);
  }
  return t;
}

checkTimings(DEFAULT_TIMINGS);

/** The longest `drain` that leaves a stop its other steps. */
export const MOST_DRAIN_MS = STOP_TIMEOUT_MS - longestStop({ ...DEFAULT_TIMINGS, drain: 0 });

/** RabbitMQ closes the channel of a message that is unacked for longer (`consumer_timeout`, its default; Amazon MQ has the same). */
export const CONSUMER_TIMEOUT_MS = 30 * 60_000;
if (2 * DEFAULT_TIMINGS.long >= CONSUMER_TIMEOUT_MS) throw new Error("limits: a message waits and runs for up to `long` each before it is let go");

// A parked or buried item is the envelope plus at most 64 KiB of history and attributes.
if (LIMITS.envelopeBytes + 64 * 1024 >= LIMITS.itemBytes) throw new Error("limits: an envelope must fit an item");
if (LIMITS.messageBodyBytes < LIMITS.envelopeBytes + 64 * 1024 || LIMITS.messageBodyBytes >= LIMITS.itemBytes) {
  throw new Error("limits: a message must hold an envelope with its history, and fit an item");
}
if (LIMITS.history * (LIMITS.stackBytes + LIMITS.messageBytes) > 64 * 1024) throw new Error("limits: a history must fit an item");
if (LIMITS.bulkBytes < LIMITS.envelopeBytes) throw new Error("limits: a bulk request must hold one job");
// A job that waits asks anew, and renews its place, each time that it has waited: the rest is for tasks that are away, and full queues.
if (LIMITS.waiterKeepMs < 100 * LIMITS.mostWaitMs) throw new Error("limits: a place in a line must outlive many waits of its job");
if (LIMITS.confirmWindow > 1_000) throw new Error("limits: a wider confirm window costs more than it gives");
