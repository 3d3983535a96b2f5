import type { PartitionView, QueueLists } from "../client/views.ts";
import { DEFAULT_POOL } from "../core/contract/names.ts";
import type { PartitionStatus } from "../core/partition/partition.ts";
import { type Command, given, type Input, numberOption, type Option, type Output, positional, refuseOptions, UsageError, WAIT } from "./command.ts";
import { list, PAGE_OPTIONS } from "./listing.ts";
import { table } from "./table.ts";

const POOL: Option = { type: "string", multiple: true, value: "<pool>:<queue>=<n>", help: "a queue of another pool; may be repeated" };

const start: Command = {
  name: "start",
  summary: "start a partition, or replace the queues of a running one; without queues, with those that it has",
  usage: "<partition> [<queue>=<max_workers>…]",
  positionals: [1, 51],
  options: { pool: POOL, wait: WAIT },
  examples: ["start acme default=10 other=2", "start acme", "start acme default=10 --pool big:video=1 --wait 10"],
  run: async (input) => shown(await input.api.start(positional(input, 0), queueLists(input), waitOf(input))),
};

const reconfigure: Command = {
  name: "reconfigure",
  summary: "replace the queues of a running partition; the list is complete",
  usage: "<partition> <queue>=<max_workers>…",
  positionals: [1, 51],
  options: { pool: POOL, wait: WAIT },
  examples: ["reconfigure acme default=4"],
  run: async (input) => {
    const lists = queueLists(input);
    // The list is complete: to forget it would stop every queue that the partition has.
    if (lists === undefined) throw new UsageError("name each queue and its max_workers, as in default=10");
    return shown(await input.api.reconfigure(positional(input, 0), lists, waitOf(input)));
  },
};

const safeStop: Command = {
  name: "safe-stop",
  summary: "start no new job; stopped once the running ones have finished",
  usage: "<partition>",
  positionals: [1, 1],
  options: { wait: WAIT },
  examples: ["safe-stop acme --wait 25"],
  run: async (input) => shown(await input.api.safeStop(positional(input, 0), waitOf(input))),
};

const stop: Command = {
  name: "stop",
  summary: "stop now; running jobs are aborted and go back to their queue",
  usage: "<partition>",
  positionals: [1, 1],
  options: { wait: WAIT },
  examples: ["stop acme"],
  run: async (input) => shown(await input.api.stop(positional(input, 0), waitOf(input))),
};

const partitions: Command = {
  name: "partitions",
  summary: "all partitions, or one with its queues and the tasks that work them",
  usage: "[<partition>]",
  positionals: [0, 1],
  options: {
    status: { type: "string", value: "<status>", help: "only running, draining, stopped or deleting ones" },
    ...PAGE_OPTIONS,
  },
  examples: ["partitions", "partitions acme", "partitions --status draining --all"],
  run: async (input) => {
    const [id] = input.positionals;
    if (id !== undefined) {
      refuseOptions(input, Object.keys(partitions.options));
      return shown(await input.api.partition(id));
    }
    // The API says which statuses there are.
    const status = input.text("status") as PartitionStatus | undefined;
    return list(input, {
      member: "partitions",
      fetch: (page) => input.api.partitions({ ...given({ status }), ...page }),
      table: partitionTable,
    });
  },
};

const remove: Command = {
  name: "delete",
  summary: "remove a stopped partition with its queues; run it again until it is gone",
  usage: "<partition>",
  positionals: [1, 1],
  options: { force: { type: "boolean", help: "also when jobs are left: they are deleted" } },
  examples: ["delete acme", "delete acme --force"],
  run: async (input) => {
    const id = positional(input, 0);
    const answer = await input.api.delete(id, { force: input.flag("force") });
    return { answer, lines: [answer.status === "deleted" ? `${id} is deleted` : `${id} is being deleted: run this again until it is gone`] };
  },
};

export const partitionCommands: readonly Command[] = [start, reconfigure, safeStop, stop, partitions, remove];

export function waitOf(input: Input): { readonly wait?: number } {
  return given({ wait: numberOption(input, "wait") });
}

/** `default=10 other=2` and `--pool big:default=3`; `undefined` for none. Names and bounds are the API's to judge. */
function queueLists(input: Input): QueueLists | undefined {
  const pools = new Map<string, Map<string, number>>();
  /** @param before the queue, in the words of the command line */
  const add = (pool: string, text: string, before = ""): void => {
    const [queue, maxWorkers] = queueAndNumber(text);
    const queues = pools.get(pool) ?? new Map<string, number>();
    // Of two numbers for one queue neither is known to be meant.
    if (queues.has(queue)) throw new UsageError(`"${before}${queue}" is named twice`);
    pools.set(pool, queues.set(queue, maxWorkers));
  };
  for (const text of input.positionals.slice(1)) add(DEFAULT_POOL, text);
  const others = input.texts("pool");
  for (const other of others) {
    const seam = other.indexOf(":");
    if (seam <= 0) throw new UsageError(`--pool: "${other}" is not <pool>:<queue>=<max_workers>`);
    add(other.slice(0, seam), other.slice(seam + 1), other.slice(0, seam + 1));
  }
  const lists = Object.fromEntries([...pools].map(([pool, queues]) => [pool, Object.fromEntries(queues)]));
  if (others.length > 0) return { pools: lists };
  const queues = lists[DEFAULT_POOL];
  return queues === undefined ? undefined : { queues };
}

function queueAndNumber(text: string): [string, number] {
  const [, queue, maxWorkers] = /^([^=]+)=(\d+)$/.exec(text) ?? [];
  if (queue === undefined) throw new UsageError(`"${text}" is not <queue>=<max_workers>`);
  return [queue, Number(maxWorkers)];
}

/** A partition in full. */
export function shown(partition: PartitionView): Output {
  const rows = partition.queues.map((queue) => [
    queue.queue,
    queue.pool,
    queue.max_workers,
    queue.held,
    queue.running,
    queue.ready,
    Object.keys(queue.shares).length,
    queue.paused ? "paused" : "",
  ]);
  const behind = partition.applied.filter(({ revision }) => revision === null).length;
  const applied = `${partition.applied.length - behind} of ${partition.applied.length} tasks are up to date${partition.as_of === null ? "" : `, as of ${partition.as_of}`}`;
  return {
    answer: partition,
    lines: [
      `${partition.id} is ${partition.status}, revision ${partition.revision}`,
      ...table(["QUEUE", "POOL", "MAX", "HELD", "RUNNING", "READY", "TASKS", ""], rows, "no queues"),
      applied,
    ],
  };
}

function partitionTable(partitions: readonly PartitionView[]): string[] {
  const rows = partitions.map(({ id, status, revision, queues }) => [id, status, revision, sum(queues, "running"), queues.map(shortQueue).join(" ")]);
  return table(["PARTITION", "STATUS", "REVISION", "RUNNING", "QUEUES"], rows, "no partitions");
}

function sum(queues: PartitionView["queues"], what: "running"): number {
  return queues.reduce((total, queue) => total + queue[what], 0);
}

function shortQueue({ pool, queue, max_workers }: PartitionView["queues"][number]): string {
  return `${pool === "default" ? "" : `${pool}:`}${queue}=${max_workers}`;
}
