import { keyHash } from "../core/keys/key-hash.ts";
import type { QueueKeyHandle, QueueKeyRef } from "../core/keys/queue-key-ref.ts";
import type { QueueKeyItem, QueueKeyStore } from "../core/keys/queue-key-store.ts";
import { asPort, type Steps } from "./calls.ts";
import type { MemoryState, MemoryWorld } from "./memory-state.ts";

type Claim = Parameters<QueueKeyStore["claim"]>[1];

/** The twin of store/queue-keys.ts. */
export function memoryQueueKeys({ state, clock, hook }: MemoryWorld): QueueKeyStore {
  const steps: Steps<QueueKeyStore> = {
    claim: (ref, claim) => {
      const found = itemOf(state, ref);
      if (found !== undefined && !mayClaim(found, claim)) return { claimed: false, holder: found };
      const { jobId, attempt, outbox, due } = claim;
      write(state, ref, { jobId, state: "publishing", attempt, outbox, due });
      return { claimed: true };
    },
    published: (ref, jobId) => {
      const found = itemOf(state, ref);
      return found?.jobId === jobId && found.state === "publishing" && write(state, ref, { jobId, state: "queued", attempt: found.attempt });
    },
    begin: (ref, { job, run, task }, attempt, now, instead) => {
      const found = itemOf(state, ref);
      if (found !== undefined && !isLapsed(found, now) && !mayBegin(found, job, run, attempt, instead)) return { began: false, found };
      write(state, ref, { jobId: job, state: "running", attempt, run, task });
      return { began: true };
    },
    giveBack: (ref, run, attempt) => {
      const found = itemOf(state, ref);
      return found?.run === run && write(state, ref, { jobId: found.jobId, state: "queued", attempt });
    },
    finish: (ref, run, until) => {
      const found = itemOf(state, ref);
      return found?.run === run && write(state, ref, { jobId: found.jobId, state: "done", attempt: found.attempt, until });
    },
    release: (ref, jobId, attempt, until, instead) => {
      const found = itemOf(state, ref);
      if (found?.jobId !== jobId || found.attempt > attempt || found.state === "done" || !isHeldBy(found, undefined, instead)) return false;
      return write(state, ref, { jobId, state: "done", attempt: found.attempt, until });
    },
    claimOutbox: (handle, now, until) => {
      const found = itemOf(state, handle);
      if (found?.state !== "publishing" || (found.due ?? Infinity) > now) return undefined;
      write(state, handle, { ...found, due: until });
      return itemOf(state, handle);
    },
    get: (ref) => {
      const found = itemOf(state, ref);
      return found === undefined || isLapsed(found, clock.now()) ? undefined : found;
    },
  };
  return asPort("queueKeys", steps, hook);
}

function mayClaim(found: QueueKeyItem, { jobId, attempt, now, takeDone }: Claim): boolean {
  return isLapsed(found, now) || (found.state === "done" && (takeDone || (found.jobId === jobId && found.attempt < attempt)));
}

function mayBegin(found: QueueKeyItem, job: string, run: string, attempt: number, instead: string | undefined): boolean {
  return found.jobId === job && found.state !== "done" && found.attempt <= attempt && isHeldBy(found, run, instead);
}

/** By nobody, or by one of these runs. */
function isHeldBy({ run }: QueueKeyItem, mine: string | undefined, instead: string | undefined): boolean {
  return run === undefined || run === mine || run === instead;
}

/** Only what is done is ever forgotten. */
function isLapsed({ until }: QueueKeyItem, now: number): boolean {
  return until !== undefined && until <= now;
}

function write(state: MemoryState, ref: QueueKeyRef | QueueKeyHandle, item: QueueKeyItem): true {
  const handle = handleOf(ref);
  state.queueKeys[nameOf(handle)] = { ...item, handle };
  return true;
}

function itemOf(state: MemoryState, ref: QueueKeyRef | QueueKeyHandle): QueueKeyItem | undefined {
  const record = state.queueKeys[nameOf(handleOf(ref))];
  if (record === undefined) return undefined;
  const { handle: _, ...item } = record;
  return item;
}

function handleOf(ref: QueueKeyRef | QueueKeyHandle): QueueKeyHandle {
  const { partition } = ref;
  return "hash" in ref ? { partition, hash: ref.hash } : { partition, hash: keyHash(ref.key) };
}

function nameOf({ partition, hash }: QueueKeyHandle): string {
  return `${partition}/${hash}`;
}
