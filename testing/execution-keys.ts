import type { JobLife } from "../core/job/life.ts";
import type { ExecutionKeyRef, ExecutionKeyStore, Lock } from "../core/keys/execution-key-store.ts";
import { asPort, type Steps } from "./calls.ts";
import type { MemoryState, MemoryWorld } from "./memory-state.ts";

type Reservation = { readonly job: string; readonly until: number } | undefined;

/** The twin of store/execution-keys.ts. A lock is remembered for ever: its token rises all the same; so is a waiter's row. */
export function memoryExecutionKeys({ state, hook }: MemoryWorld): ExecutionKeyStore {
  const steps: Steps<ExecutionKeyStore> = {
    acquire: (ref, { job, run, task }, now, instead) => {
      const lock = state.locks[nameOf(ref)];
      const mine = lock?.run === run;
      if (!mine && !isFree(lock, job, now) && !(instead !== undefined && lock?.run === instead)) return { acquired: false, lock };
      // Asked again by the run that has it: the answer was lost, the token is the same.
      const token = mine ? lock.token : (lock?.token ?? now) + 1;
      state.locks[nameOf(ref)] = { holder: job, run, task, token };
      return { acquired: true, token };
    },
    read: (ref) => state.locks[nameOf(ref)],
    release: (ref, run, reserve) => {
      const lock = state.locks[nameOf(ref)];
      return lock?.run === run && free(state, ref, lock, reserve);
    },
    reserve: (ref, from, to) => {
      const lock = state.locks[nameOf(ref)];
      return lock !== undefined && lock.holder === undefined && lock.reserved === from && free(state, ref, lock, to);
    },
    enlist: (ref, waiter) => {
      const row = rowOf(waiter);
      const waiters = state.waiters[nameOf(ref)] ?? [];
      if (!waiters.some(isSame(row))) state.waiters[nameOf(ref)] = [...waiters, row].sort(byAge);
    },
    leave: (ref, waiter) => {
      const left = (state.waiters[nameOf(ref)] ?? []).filter((other) => !isSame(rowOf(waiter))(other));
      if (left.length > 0) state.waiters[nameOf(ref)] = left;
      else delete state.waiters[nameOf(ref)];
    },
    waiters: (ref, limit) => (state.waiters[nameOf(ref)] ?? []).slice(0, limit),
  };
  return asPort("executionKeys", steps, hook);
}

function isFree(lock: Lock | undefined, job: string, now: number): boolean {
  if (lock === undefined) return true;
  if (lock.holder !== undefined) return false;
  return lock.reserved === undefined || lock.reserved === job || (lock.reservedUntil ?? 0) <= now;
}

function free(state: MemoryState, ref: ExecutionKeyRef, { token }: Lock, reserve: Reservation): true {
  state.locks[nameOf(ref)] = { token, ...(reserve === undefined ? {} : { reserved: reserve.job, reservedUntil: reserve.until }) };
  return true;
}

/** A row's place is a whole number: what an odd clock wrote stands at the nearest end. */
function rowOf({ job, enqueuedAt }: JobLife): JobLife {
  return { job, enqueuedAt: Math.trunc(Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, enqueuedAt || 0))) };
}

function isSame(waiter: JobLife): (other: JobLife) => boolean {
  return ({ job, enqueuedAt }) => job === waiter.job && enqueuedAt === waiter.enqueuedAt;
}

function byAge(a: JobLife, b: JobLife): number {
  return a.enqueuedAt - b.enqueuedAt || (a.job < b.job ? -1 : 1);
}

function nameOf({ partition, key }: ExecutionKeyRef): string {
  return `${partition}/${key}`;
}
