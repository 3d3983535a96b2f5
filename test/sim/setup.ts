import { ownIdKey } from "../../core/job/own-id.ts";
import type { MemoryStore } from "../../testing/memory-store.ts";

export interface SimJob {
  readonly name: string;
  /** Its id is its caller's own, so it may be enqueued again. @default false: its id is one of ours */
  readonly own?: boolean;
  /** Not with an id of its caller's. */
  readonly queueKey?: string;
  readonly executionKey?: string;
  /** It goes by way of the outbox: a pump brings it to its queue. For an id of ours. @default false */
  readonly outbox?: boolean;
  /** So old when it runs that it moves from its message to a parked item. @default false */
  readonly long?: boolean;
  /** Its end is forgotten already: what is queued of it is a late copy, and its key is not there. @default false */
  readonly late?: boolean;
  /** It was cancelled, and a person has retried it since; the marker is still there. For an id of ours. @default false */
  readonly pardoned?: boolean;
}

/** How many of each fault may happen in one execution. */
export interface Budget {
  readonly crashes?: number;
  readonly losses?: number;
  readonly failures?: number;
  /** Handlers that throw `Discard`. */
  readonly burials?: number;
  readonly cancels?: number;
  /** A person's retries of buried jobs; two may be under way at once. */
  readonly revives?: number;
  readonly purges?: number;
  /** A life's first message a second time, as when a publish was confirmed and its publisher died. */
  readonly copies?: number;
  /** Jumps to the next moment at which something falls due or lapses, while there is other work to do. */
  readonly jumps?: number;
  /** Callers' own ids that are enqueued once more. */
  readonly lives?: number;
  /** Jumps beyond what the end of a job is remembered for. */
  readonly hours?: number;
  /** Waiters' rows that lapse, far sooner than they do. */
  readonly lapses?: number;
  /** Calls of the table or the broker that fail: they never arrived, or their answer was lost. */
  readonly errors?: number;
}

export interface Setup {
  readonly jobs: readonly SimJob[];
  readonly tasks: number;
  /** Runs at once in one task. */
  readonly slots?: number;
  /** The jobs are in their queue already: how they got there is not looked at. @default false */
  readonly queued?: boolean;
  /** Steps that every way begins with, by a part of their labels. @default none */
  readonly begun?: readonly string[];
  readonly budget?: Budget;
  /** By how much the clock of whoever enqueues a job the n-th time is ahead, ms. @default 0 */
  readonly skewMs?: readonly number[];
  /** Breaks a port: what the search must then find shows that it looks. */
  sabotage?(store: MemoryStore): MemoryStore;
  /** The job whose handler kills its process, each time. */
  readonly killer?: string;
  /** The most processes that it may kill, if it has had so many messages at once: RabbitMQ counts for each. @default any number */
  mostKilled?(messages: number): number;
  /** The work must come to its end without any time passing: no wake-up is lost. @default false */
  readonly timeless?: boolean;
}

/** A job that was retried, and that runs, is cancelled anew by somebody who has seen that it is not buried: it may be by now. */
export const CANCELLED_ANEW: Setup = {
  jobs: [{ name: "A", pardoned: true }],
  tasks: 1,
  queued: true,
  begun: ["a message goes to T1", "cancels.list", "somebody cancels A", "buried.get"],
  budget: { burials: 1, revives: 1, cancels: 1 },
};

/** One of ours looks like all of ours: a marker for it hits whatever the clocks say. */
export function idOf({ name, own = false }: SimJob): string {
  return own ? name : `0192f3a4-0000-7000-8000-${Buffer.from(name).toString("hex").padStart(12, "0")}`;
}

export function queueKeyOf(job: SimJob): string | undefined {
  return job.own === true ? ownIdKey(idOf(job)) : job.queueKey;
}

/** Something that may happen next. */
export interface Action {
  readonly label: string;
  /** A fault is never needed for the work to come to its end. */
  readonly fault: boolean;
  do(): Promise<void>;
}
