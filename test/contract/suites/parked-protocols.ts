import type { NewParkedJob } from "../../../core/job/parked.ts";
import type { Store } from "../../../store/store.ts";
import { NOW, type Protocol } from "./protocols.ts";

export const PARKED: NewParkedJob = {
  partition: "acme",
  id: "job-1",
  enqueuedAt: NOW - 1_000,
  name: "n",
  queue: "mail",
  attempt: 1,
  reason: "retry",
  due: NOW,
  since: NOW,
  body: "{}",
};
const RUN = "boot-1.1";
const LONG: NewParkedJob = { ...PARKED, reason: "long", run: RUN };
const WAITING: NewParkedJob = { ...PARKED, reason: "waiting", due: NOW + 60_000 };

const see = (store: Store) => store.parked.get(PARKED);
const rev = async (store: Store) => (await see(store))?.rev ?? "";
const parked = (store: Store) => store.parked.park(PARKED);
const claimed = async (store: Store) => {
  await parked(store);
  await store.parked.claim(PARKED, NOW, NOW + 30_000);
};
const long = (store: Store) => store.parked.park(LONG);

/** Every write to parked jobs, and the refusals that matter. */
export const PARKED_PROTOCOLS: readonly Protocol[] = [
  { name: "park", writes: 1, act: async (store) => (await parked(store)) === (await rev(store)), answer: true, see, seen: PARKED },
  {
    name: "park of a stale attempt",
    writes: 1,
    unmarked: [0],
    prepare: (store) => store.parked.park({ ...PARKED, attempt: 2 }),
    act: parked,
    answer: undefined,
    see,
    seen: { attempt: 2 },
  },
  {
    name: "claim",
    writes: 1,
    prepare: parked,
    act: (store) => store.parked.claim(PARKED, NOW, NOW + 30_000),
    answer: { ...PARKED, due: NOW + 30_000, claimed: true },
    see,
    seen: { due: NOW + 30_000, claimed: true },
  },
  {
    name: "a second pump's claim",
    writes: 1,
    unmarked: [0],
    prepare: claimed,
    act: (store) => store.parked.claim(PARKED, NOW, NOW + 60_000),
    answer: undefined,
    see,
    seen: { due: NOW + 30_000 },
  },
  {
    name: "remove",
    writes: 1,
    prepare: claimed,
    act: async (store) => store.parked.remove(PARKED, await rev(store)),
    answer: true,
    see,
    seen: undefined,
  },
  {
    name: "remove of another rev",
    writes: 1,
    unmarked: [0],
    prepare: claimed,
    act: (store) => store.parked.remove(PARKED, "another"),
    answer: false,
    see,
    seen: { id: "job-1", due: NOW + 30_000 },
  },
  {
    name: "postpone",
    writes: 1,
    prepare: claimed,
    act: async (store) => store.parked.postpone(PARKED, await rev(store), NOW + 99),
    answer: true,
    see,
    seen: { due: NOW + 99, claimed: false },
  },
  {
    name: "postpone with another body",
    writes: 1,
    prepare: claimed,
    act: async (store) => store.parked.postpone(PARKED, await rev(store), NOW + 99, "another"),
    answer: true,
    see,
    seen: { due: NOW + 99, body: "another" },
  },
  {
    name: "expedite",
    writes: 1,
    prepare: (store) => store.parked.park(WAITING),
    act: (store) => store.parked.expedite(PARKED, NOW),
    answer: "expedited",
    see,
    seen: { due: NOW },
  },
  {
    name: "expedite of what is due",
    writes: 1,
    unmarked: [0],
    prepare: (store) => store.parked.park({ ...WAITING, due: NOW - 1 }),
    act: (store) => store.parked.expedite(PARKED, NOW),
    answer: "on_its_way",
    see,
    seen: { due: NOW - 1 },
  },
  {
    name: "expedite of nothing",
    writes: 1,
    unmarked: [0],
    act: (store) => store.parked.expedite(PARKED, NOW),
    answer: "gone",
    see,
    seen: undefined,
  },
  {
    name: "cancel of a parked job",
    writes: 1,
    prepare: claimed,
    act: async (store) => store.parked.cancel(PARKED, await rev(store), NOW),
    answer: true,
    see,
    seen: { reason: "cancelled", due: NOW, claimed: false },
  },
  {
    name: "cancel of a long job",
    writes: 1,
    unmarked: [0],
    prepare: long,
    act: async (store) => store.parked.cancel(PARKED, await rev(store), NOW),
    answer: false,
    see,
    seen: { reason: "long", run: RUN },
  },
  {
    name: "touch",
    writes: 1,
    prepare: claimed,
    act: async (store) => (await store.parked.touch(PARKED, PARKED)) !== undefined,
    answer: true,
    see,
    seen: { attempt: 1 },
  },
  {
    name: "touch of nothing",
    writes: 1,
    unmarked: [0],
    act: async (store) => (await store.parked.touch(PARKED, PARKED)) !== undefined,
    answer: false,
    see,
    seen: undefined,
  },
  {
    name: "hold",
    writes: 1,
    prepare: long,
    act: (store) => store.parked.hold(PARKED, RUN, NOW + 60_000),
    answer: true,
    see,
    seen: { due: NOW + 60_000, run: RUN },
  },
  {
    name: "hold of a job that was taken away",
    writes: 1,
    unmarked: [0],
    prepare: async (store) => {
      await long(store);
      await store.parked.claim(PARKED, NOW, NOW + 30_000);
    },
    act: (store) => store.parked.hold(PARKED, RUN, NOW + 60_000),
    answer: false,
    see,
    seen: { due: NOW + 30_000 },
  },
  {
    name: "handBack",
    writes: 1,
    prepare: long,
    act: (store) => store.parked.handBack(PARKED, RUN, NOW + 5),
    answer: true,
    see: async (store) => ({ run: undefined, ...(await see(store)) }),
    seen: { due: NOW + 5, run: undefined },
  },
  { name: "removeHeld", writes: 1, prepare: long, act: (store) => store.parked.removeHeld(PARKED, RUN), answer: true, see, seen: undefined },
  {
    name: "removeHeld of another run's",
    writes: 1,
    unmarked: [0],
    prepare: long,
    act: (store) => store.parked.removeHeld(PARKED, "another"),
    answer: false,
    see,
    seen: { run: RUN },
  },
];
