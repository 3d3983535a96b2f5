import { dueShard } from "../core/job/due-shard.ts";
import { isLater } from "../core/job/life.ts";
import type { Due, DueEnd, NewParkedJob, ParkedJob, ParkedRef, ParkedStore } from "../core/job/parked.ts";
import { asPort, type Steps } from "./calls.ts";
import { type MemoryState, type MemoryWorld, newRev } from "./memory-state.ts";
import { pageOf } from "./pages.ts";

/** The twin of store/parked.ts. */
export function memoryParked({ state, hook }: MemoryWorld): ParkedStore {
  const steps: Steps<ParkedStore> = {
    park: (job, by) => park(state, job, by),
    due: (shard, now, limit, from = "oldest") => due(state, shard, { now, limit, from }),
    claim: (ref, now, until) => {
      const item = itemOf(state, ref);
      return item !== undefined && item.due <= now ? write(state, { ...heldByNobody(item), due: until, claimed: true }) : undefined;
    },
    remove: (ref, rev) => itemOf(state, ref)?.rev === rev && remove(state, ref),
    postpone: (ref, rev, due, body) => change(state, ref, (item) => item.rev === rev && { ...item, due, body: body ?? item.body, claimed: false }),
    expedite: (ref, now) => {
      const item = itemOf(state, ref);
      if (item?.reason !== "waiting") return "gone";
      if (item.claimed || item.due <= now) return "on_its_way";
      write(state, { ...item, due: now });
      return "expedited";
    },
    cancel: (ref, rev, now) =>
      change(state, ref, (item) => item.rev === rev && item.reason !== "long" && { ...item, reason: "cancelled", due: now, claimed: false }),
    touch: (ref, mine) => {
      const item = itemOf(state, ref);
      return item?.enqueuedAt === mine.enqueuedAt && item.attempt >= mine.attempt ? write(state, item) : undefined;
    },
    hold: (ref, run, due) => change(state, ref, (item) => item.run === run && { ...item, due }),
    handBack: (ref, run, due) => change(state, ref, (item) => item.run === run && { ...heldByNobody(item), due }),
    removeHeld: (ref, run) => itemOf(state, ref)?.run === run && remove(state, ref),
    get: (ref) => itemOf(state, ref),
    list: (partition, page) => {
      const jobs = Object.values(state.parked).filter((job) => job.partition === partition);
      const { items, ...more } = pageOf("parked", jobs, page);
      return { jobs: items, ...more };
    },
  };
  return asPort("parked", steps, hook);
}

function park(state: MemoryState, job: NewParkedJob, by = job.run): string | undefined {
  const found = itemOf(state, job);
  if (found !== undefined && !mayReplace(found, job, by)) return undefined;
  const { partition, id, enqueuedAt, name, queue, attempt, reason, due, since, body, run } = job;
  const item = { partition, id, enqueuedAt, name, queue, attempt, reason, due, since, body, ...(run === undefined ? {} : { run }), claimed: false };
  return write(state, item).rev;
}

function mayReplace(found: ParkedJob, job: NewParkedJob, by: string | undefined): boolean {
  if (isLater(found, job)) return false;
  const isNew = job.reason === "outbox" || job.reason === "delayed";
  if (found.enqueuedAt < job.enqueuedAt) return !(isNew && found.reason === "cancelled");
  return found.attempt < job.attempt || found.run === undefined || found.run === by;
}

/** Parked jobs and queue keys in one order: the index knows no difference. */
function due(
  state: MemoryState,
  shard: number,
  { now, limit, from }: { readonly now: number; readonly limit: number; readonly from: DueEnd },
): Due[] {
  const parked = Object.values(state.parked).map(({ partition, id, due }) => ({ kind: "parked", ref: { partition, id }, at: due }) as const);
  const keys = Object.values(state.queueKeys).map(({ handle, due = Infinity }) => ({ kind: "queue_key", ref: handle, at: due }) as const);
  const found = [...parked, ...keys]
    .filter((item) => item.at <= now && dueShard(item.ref.partition, item.kind === "parked" ? item.ref.id : item.ref.hash) === shard)
    .sort((a, b) => a.at - b.at);
  return (from === "oldest" ? found : found.reverse()).slice(0, limit);
}

/** @returns whether there was an item that `to` made something of */
function change(state: MemoryState, ref: ParkedRef, to: (item: ParkedJob) => ParkedJob | false): boolean {
  const item = itemOf(state, ref);
  const changed = item !== undefined && to(item);
  return changed !== false && write(state, changed) !== undefined;
}

function write(state: MemoryState, job: Omit<ParkedJob, "rev">): ParkedJob {
  const item = { ...job, rev: newRev(state) };
  state.parked[nameOf(job)] = item;
  return item;
}

function remove(state: MemoryState, ref: ParkedRef): true {
  delete state.parked[nameOf(ref)];
  return true;
}

function heldByNobody({ run: _, ...rest }: ParkedJob): ParkedJob {
  return rest;
}

function itemOf(state: MemoryState, ref: ParkedRef): ParkedJob | undefined {
  return state.parked[nameOf(ref)];
}

function nameOf({ partition, id }: ParkedRef): string {
  return `${partition}/${id}`;
}
