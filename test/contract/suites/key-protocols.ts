import { DUE_SHARDS } from "../../../core/job/due-shard.ts";
import type { ExecutionKeyStore } from "../../../core/keys/execution-key-store.ts";
import type { RunIdentity } from "../../../core/keys/runs.ts";
import type { Store } from "../../../store/store.ts";
import { PARKED } from "./parked-protocols.ts";
import { NOW, type Protocol } from "./protocols.ts";

export const REF = { partition: "acme", key: "customer:7" };
export const ME: RunIdentity = { job: "job-1", enqueuedAt: PARKED.enqueuedAt, run: "boot-1.1", task: "boot-1" };
export const OTHER: RunIdentity = { job: "job-2", enqueuedAt: PARKED.enqueuedAt, run: "boot-2.1", task: "boot-2" };
const LATER = NOW + 3_600_000;
const NEXT = { job: "job-2", until: NOW + 30_000 };
const WAITER = { job: "job-1", enqueuedAt: NOW };

export const claimKey = ({ queueKeys }: Store, jobId = ME.job, takeDone = true) =>
  queueKeys.claim(REF, { outbox: { ...PARKED, id: jobId }, due: NOW, now: NOW, takeDone });
export const heldKey = async (store: Store) => {
  await claimKey(store);
  await store.queueKeys.begin(REF, ME, 1, NOW);
};
const doneKey = async (store: Store) => {
  await heldKey(store);
  await store.queueKeys.finish(REF, ME.run, LATER);
};
const key = (store: Store) => store.queueKeys.get(REF);

const take = (store: Store, me = ME): ReturnType<ExecutionKeyStore["acquire"]> => store.executionKeys.acquire(REF, me, NOW);
export const freeLock = async (store: Store) => {
  await take(store);
  await store.executionKeys.release(REF, ME.run, NEXT);
};
const lock = (store: Store) => store.executionKeys.read(REF);
const waiters = (store: Store) => store.executionKeys.waiters(REF, 10);

const marker = (store: Store) => store.cancels.get("acme", "job-1");
const mark = (store: Store, at = NOW) => store.cancels.mark("acme", "job-1", at);

/** Every write to keys, locks, cancel markers and counts of suspects, and the refusals that matter. */
export const KEY_PROTOCOLS: readonly Protocol[] = [
  {
    name: "claim of a queue key",
    writes: 1,
    act: claimKey,
    answer: { claimed: true },
    see: key,
    seen: { jobId: "job-1", state: "publishing", outbox: { id: "job-1" }, due: NOW },
  },
  {
    name: "claim of one that is done",
    writes: 1,
    prepare: doneKey,
    act: (store) => claimKey(store, "job-2"),
    answer: { claimed: true },
    see: key,
    seen: { jobId: "job-2", state: "publishing" },
  },
  {
    name: "claim of another's",
    writes: 1,
    unmarked: [0],
    prepare: claimKey,
    act: (store) => claimKey(store, "job-2"),
    answer: { claimed: false, holder: { jobId: "job-1" } },
    see: key,
    seen: { jobId: "job-1" },
  },
  {
    name: "a second claim with the same id",
    writes: 1,
    unmarked: [0],
    prepare: claimKey,
    act: claimKey,
    answer: { claimed: false, holder: { jobId: "job-1" } },
    see: key,
    seen: { jobId: "job-1", state: "publishing" },
  },
  {
    name: "published",
    writes: 1,
    prepare: claimKey,
    act: (store) => store.queueKeys.published(REF, ME),
    answer: true,
    see: key,
    seen: { state: "queued" },
  },
  {
    name: "published of what runs",
    writes: 1,
    unmarked: [0],
    prepare: heldKey,
    act: (store) => store.queueKeys.published(REF, ME),
    answer: false,
    see: key,
    seen: { state: "running" },
  },
  {
    name: "begin with a queue key",
    writes: 1,
    prepare: claimKey,
    act: (store) => store.queueKeys.begin(REF, ME, 1, NOW),
    answer: { began: true },
    see: key,
    seen: { state: "running", run: ME.run },
  },
  {
    name: "begin with another run's key",
    writes: 1,
    unmarked: [0],
    prepare: heldKey,
    act: (store) => store.queueKeys.begin(REF, { ...OTHER, job: ME.job }, 1, NOW),
    answer: { began: false, found: { run: ME.run } },
    see: key,
    seen: { state: "running", run: ME.run },
  },
  {
    name: "giveBack of a queue key",
    writes: 1,
    prepare: heldKey,
    act: (store) => store.queueKeys.giveBack(REF, ME.run, 2),
    answer: true,
    see: key,
    seen: { state: "queued", attempt: 2 },
  },
  {
    name: "giveBack of another run's",
    writes: 1,
    unmarked: [0],
    prepare: heldKey,
    act: (store) => store.queueKeys.giveBack(REF, OTHER.run, 2),
    answer: false,
    see: key,
    seen: { state: "running", attempt: 1 },
  },
  {
    name: "finish of a queue key",
    writes: 1,
    prepare: heldKey,
    act: (store) => store.queueKeys.finish(REF, ME.run, LATER),
    answer: true,
    see: key,
    seen: { state: "done", until: LATER },
  },
  {
    name: "a second finish",
    writes: 1,
    unmarked: [0],
    prepare: doneKey,
    act: (store) => store.queueKeys.finish(REF, ME.run, LATER + 1),
    answer: false,
    see: key,
    seen: { state: "done", until: LATER },
  },
  {
    name: "release of a queue key",
    writes: 1,
    prepare: claimKey,
    act: (store) => store.queueKeys.release(REF, ME, 99, LATER),
    answer: true,
    see: key,
    seen: { state: "done", until: LATER },
  },
  {
    name: "release of a queue key that a run holds",
    writes: 1,
    unmarked: [0],
    prepare: heldKey,
    act: (store) => store.queueKeys.release(REF, ME, 99, LATER),
    answer: false,
    see: key,
    seen: { state: "running" },
  },
  {
    name: "bar",
    writes: 1,
    act: (store) => store.queueKeys.bar(REF, ME, { attempt: 1, now: NOW, until: LATER }),
    answer: true,
    see: key,
    seen: { jobId: "job-1", state: "done", forgotten: true, until: LATER },
  },
  {
    name: "bar of a key that is there",
    writes: 1,
    unmarked: [0],
    prepare: claimKey,
    act: (store) => store.queueKeys.bar(REF, OTHER, { attempt: 1, now: NOW, until: LATER }),
    answer: false,
    see: key,
    seen: { jobId: "job-1", state: "publishing" },
  },
  {
    name: "claimOutbox",
    writes: 1,
    prepare: claimKey,
    act: async (store) => {
      const [due] = (await Promise.all(DUE_SHARDS.map((shard) => store.parked.due(shard, NOW, 1)))).flat();
      return due?.kind === "queue_key" ? store.queueKeys.claimOutbox(due.ref, NOW, NOW + 30_000) : due;
    },
    answer: { outbox: { id: "job-1" }, due: NOW + 30_000 },
    see: key,
    seen: { due: NOW + 30_000 },
  },
  {
    name: "acquire",
    writes: 1,
    act: take,
    answer: { acquired: true, token: NOW + 1 },
    see: lock,
    seen: { run: ME.run, token: NOW + 1 },
  },
  {
    name: "acquire by whom it is reserved for",
    writes: 1,
    prepare: freeLock,
    act: (store) => take(store, OTHER),
    answer: { acquired: true, token: NOW + 2 },
    see: lock,
    seen: { run: OTHER.run, token: NOW + 2 },
  },
  {
    name: "acquire of what is held",
    writes: 1,
    unmarked: [0],
    prepare: take,
    act: (store) => take(store, OTHER),
    answer: { acquired: false, lock: { run: ME.run } },
    see: lock,
    seen: { run: ME.run, token: NOW + 1 },
  },
  {
    name: "release of a lock",
    writes: 1,
    prepare: take,
    act: (store) => store.executionKeys.release(REF, ME.run, NEXT),
    answer: true,
    see: lock,
    seen: { reserved: "job-2", reservedUntil: NOW + 30_000 },
  },
  {
    name: "release of another run's",
    writes: 1,
    unmarked: [0],
    prepare: take,
    act: (store) => store.executionKeys.release(REF, OTHER.run),
    answer: false,
    see: lock,
    seen: { run: ME.run },
  },
  {
    name: "reserve",
    writes: 1,
    prepare: freeLock,
    act: (store) => store.executionKeys.reserve(REF, "job-2", { job: "job-3", until: NOW }),
    answer: true,
    see: lock,
    seen: { reserved: "job-3" },
  },
  {
    name: "the end of a reservation",
    writes: 1,
    prepare: freeLock,
    act: (store) => store.executionKeys.reserve(REF, "job-2"),
    answer: true,
    see: async (store) => ({ reserved: undefined, ...(await lock(store)) }),
    seen: { reserved: undefined },
  },
  {
    name: "reserve of another's",
    writes: 1,
    unmarked: [0],
    prepare: freeLock,
    act: (store) => store.executionKeys.reserve(REF, "job-3"),
    answer: false,
    see: lock,
    seen: { reserved: "job-2" },
  },
  { name: "enlist", writes: 1, act: (store) => store.executionKeys.enlist(REF, WAITER), answer: undefined, see: waiters, seen: [WAITER] },
  {
    name: "leave",
    writes: 1,
    prepare: (store) => store.executionKeys.enlist(REF, WAITER),
    act: (store) => store.executionKeys.leave(REF, WAITER),
    answer: undefined,
    see: waiters,
    seen: [],
  },
  { name: "a cancel marker", writes: 2, act: mark, answer: true, see: marker, seen: { at: NOW } },
  {
    name: "a cancel marker's newer time",
    writes: 1,
    prepare: mark,
    act: (store) => mark(store, NOW + 1),
    answer: true,
    see: marker,
    seen: { at: NOW + 1 },
  },
  {
    name: "hit",
    writes: 1,
    prepare: mark,
    act: (store) => store.cancels.hit("acme", ME, "run-1"),
    answer: true,
    see: marker,
    seen: { at: NOW },
  },
  {
    name: "a second hit",
    writes: 1,
    unmarked: [0],
    prepare: async (store) => {
      await mark(store);
      await store.cancels.hit("acme", ME, "run-2");
    },
    act: (store) => store.cancels.hit("acme", ME, "run-3"),
    answer: false,
    see: marker,
    seen: { at: NOW },
  },
  {
    name: "pardon",
    writes: 1,
    unmarked: [0],
    prepare: mark,
    act: async (store) => store.cancels.pardon("acme", "job-1", (await marker(store))?.rev ?? ""),
    answer: undefined,
    see: marker,
    seen: { at: NOW, pardoned: true },
  },
  {
    name: "a suspect's start",
    writes: 1,
    prepare: (store) => store.suspects.started("acme", "job-1"),
    act: (store) => store.suspects.started("acme", "job-1"),
    answer: 2,
    see: (store) => store.suspects.started("acme", "job-1"),
    seen: 3,
  },
  {
    name: "a suspect's orderly end",
    writes: 1,
    prepare: (store) => store.suspects.started("acme", "job-1"),
    act: (store) => store.suspects.cleared("acme", "job-1"),
    answer: undefined,
    see: (store) => store.suspects.started("acme", "job-1"),
    seen: 1,
  },
  {
    name: "the removal of what belongs to a partition",
    writes: 1,
    prepare: claimKey,
    act: (store) => store.belongings.removeSome("acme", "waiting", 10),
    answer: true,
    see: key,
    seen: undefined,
  },
];
