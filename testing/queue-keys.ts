import { isOfLife, type JobLife } from "../core/job/life.ts";
import { keyHash } from "../core/keys/key-hash.ts";
import type { QueueKeyHandle, QueueKeyRef } from "../core/keys/queue-key-ref.ts";
import type { QueueKeyItem, QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { RunIdentity } from "../core/keys/runs.ts";
import { asPort, type Steps } from "./calls.ts";
import type { MemoryState, MemoryWorld } from "./memory-state.ts";

type Claim = Parameters<QueueKeyStore["claim"]>[1];

/** The twin of store/queue-keys.ts. */
export function memoryQueueKeys({ state, clock, hook }: MemoryWorld): QueueKeyStore {
  const steps: Steps<QueueKeyStore> = {
    claim: (ref, claim) => {
      const found = itemOf(state, ref);
      if (found !== undefined && !mayClaim(found, claim)) return { claimed: false, holder: found };
      const { outbox, due } = claim;
      const { id: jobId, enqueuedAt, queue, attempt } = outbox;
      write(state, ref, { jobId, enqueuedAt, queue, state: "publishing", attempt, outbox, due });
      return { claimed: true };
    },
    published: (ref, life) => {
      const found = itemOf(state, ref);
      return isOf(found, life) && found.state === "publishing" && write(state, ref, { ...ownerOf(found), state: "queued", attempt: found.attempt });
    },
    begin: (ref, me, attempt, now, instead) => {
      const found = itemOf(state, ref);
      if (found !== undefined && !isLapsed(found, now) && !mayBegin(found, me, attempt, instead)) return { began: false, found };
      const { job: jobId, enqueuedAt, run, task, queue } = me;
      write(state, ref, { jobId, enqueuedAt, ...(queue === undefined ? {} : { queue }), state: "running", attempt, run, task });
      return { began: true };
    },
    giveBack: (ref, run, attempt) => {
      const found = itemOf(state, ref);
      return found?.run === run && write(state, ref, { ...ownerOf(found), state: "queued", attempt });
    },
    finish: (ref, run, until) => {
      const found = itemOf(state, ref);
      return found?.run === run && write(state, ref, { ...ownerOf(found), state: "done", attempt: found.attempt, until });
    },
    release: (ref, life, attempt, until, instead) => {
      const found = itemOf(state, ref);
      if (!isOf(found, life) || found.attempt > attempt || found.state === "done" || !isHeldBy(found, undefined, instead)) return false;
      return write(state, ref, { ...ownerOf(found), state: "done", attempt: found.attempt, until });
    },
    bar: (ref, { job: jobId, enqueuedAt }, { attempt, now, until }) => {
      const found = itemOf(state, ref);
      if (found !== undefined && !isLapsed(found, now)) return false;
      return write(state, ref, { jobId, enqueuedAt, state: "done", attempt, until, forgotten: true });
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

function mayClaim(found: QueueKeyItem, { outbox, now, takeDone }: Claim): boolean {
  const { id: job, enqueuedAt, attempt } = outbox;
  if (isLapsed(found, now) || found.forgotten) return true;
  return found.state === "done" && (takeDone || (isOf(found, { job, enqueuedAt }) && found.attempt < attempt));
}

function mayBegin(found: QueueKeyItem, me: RunIdentity, attempt: number, instead: string | undefined): boolean {
  return isOf(found, me) && found.state !== "done" && found.attempt <= attempt && isHeldBy(found, me.run, instead);
}

function isOf(found: QueueKeyItem | undefined, life: JobLife): found is QueueKeyItem {
  return found?.jobId === life.job && isOfLife(found, life);
}

function ownerOf({ jobId, enqueuedAt, queue }: QueueKeyItem): Pick<QueueKeyItem, "jobId" | "enqueuedAt" | "queue"> {
  return { jobId, ...(enqueuedAt === undefined ? {} : { enqueuedAt }), ...(queue === undefined ? {} : { queue }) };
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
