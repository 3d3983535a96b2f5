import { type Key, newRev, readItem, type Table, updateItem } from "./items.ts";

/**
 * How many markers a partition has, without counting them at each cancel: an upper bound that is raised before a marker
 * is put. What it holds too much (markers that have lapsed, slots whose taker died) is found by counting, when it has
 * come to the limit, at most once a minute.
 */
interface SlotsItem extends Key {
  readonly taken: number;
  /** When it was last raised or counted, epoch ms. */
  readonly at: number;
  readonly rev: string;
}

/**
 * A taker puts its marker or gives its slot back long before: what is counted after so long a rest is all there is.
 * With the client's own deadlines a write ends within 20 s; see client.ts.
 */
const REST_MS = 60_000;

/*
 *   takers    taken 9 998 ─ 9 999 ─ 10 000 ─ refused … refused │ after a minute: counts 9 400, taken = 9 400 IF nobody moved it
 *
 * n.b. counted without that rest, a slot that is taken and whose marker is not put yet would be missed.
 */
const ONE_IS_LEFT = "attribute_not_exists(pk) OR (taken < :bound AND NOT rev = :rev)";
const NOT_GIVEN_BACK_YET = "attribute_exists(pk) AND NOT rev = :rev";
const AS_READ = "rev = :read";
const ROUNDS = 3;

/**
 * @param count the markers that are there
 * @returns `false` when all are taken
 */
export async function takeSlot(table: Table, partition: string, bound: number, count: () => Promise<number>): Promise<boolean> {
  for (let round = 0; round < ROUNDS; round++) {
    if (await raise(table, partition, bound)) return true;
    const slots = await readItem<SlotsItem>(table, keyOf(partition));
    if (slots === undefined || slots.taken < bound) continue;
    if (slots.at > table.clock.now() - REST_MS) return false;
    await recount(table, slots, await count());
  }
  return false;
}

async function raise(table: Table, partition: string, bound: number): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<SlotsItem>(
    table,
    keyOf(partition),
    {
      update: "SET #at = :now, rev = :rev ADD taken :one",
      condition: ONE_IS_LEFT,
      names: { "#at": "at" },
      values: { ":now": table.clock.now(), ":rev": rev, ":one": 1, ":bound": bound },
    },
    (item) => item?.rev === rev,
  );
  return written;
}

async function recount(table: Table, { pk, sk, rev: read }: SlotsItem, count: number): Promise<void> {
  const rev = newRev();
  await updateItem<SlotsItem>(
    table,
    { pk, sk },
    {
      update: "SET taken = :count, #at = :now, rev = :rev",
      condition: AS_READ,
      names: { "#at": "at" },
      values: { ":count": count, ":now": table.clock.now(), ":rev": rev, ":read": read },
    },
    (item) => item?.rev === rev,
  );
}

/**
 * The slot was not needed: another had put that very marker. n.b. a reply that is lost while others move the slots may
 * give back two: it bounds what a partition costs, and one marker too many costs nothing.
 */
export async function giveSlotBack(table: Table, partition: string): Promise<void> {
  const rev = newRev();
  await updateItem<SlotsItem>(
    table,
    keyOf(partition),
    { update: "SET rev = :rev ADD taken :less", condition: NOT_GIVEN_BACK_YET, values: { ":rev": rev, ":less": -1 } },
    (item) => item?.rev === rev,
  );
}

function keyOf(partition: string): Key {
  return { pk: `CANCELSLOTS#${partition}`, sk: "SLOTS" };
}
