import { LIMITS } from "../core/contract/limits.ts";
import { type CancelMark, type CancelStore, EVERY_LIFE } from "../core/job/cancels.ts";
import type { JobLife } from "../core/job/life.ts";
import { giveSlotBack, takeSlot } from "./cancel-slots.ts";
import { StoreUnavailable } from "./errors.ts";
import { expiresAt, isExpired, type Key, newRev, putItem, queryAll, readItem, type Table, updateItem } from "./items.ts";

interface CancelItem extends Key {
  readonly at: number;
  /** The mark of the one call that hit the last life that was hit … */
  readonly hit?: string;
  /** … and that life. */
  readonly hit_life?: number;
  readonly expires: number;
  /** Of the write that made it: later ones leave it as it is. */
  readonly rev: string;
  /** Of the last write that marked it; before the first but one that is `rev`. */
  readonly mark_rev?: string;
  /** Not in an item that only older builds have marked. */
  readonly seq?: number;
  /** What the `rev` was that a person's retry overruled: from the next wish on it is another's. */
  readonly pardoned?: string;
}

const PREFIX = "CANCELS#";

/*
 *   API       mark ──────────────── mark: newer time, new rev               mark: made anew, unhit
 *   marker     at 1                   at 2 ──────────────────────── 7 days ─┤
 *   workers         hit life 0: yes, once  hit life 0: no, life 1: yes       hit: no
 */
const NONE_OR_LAPSED = "attribute_not_exists(pk) OR expires <= :now_s";
const NO_OTHER_WISH_SINCE = "mark_rev = :rev OR attribute_not_exists(mark_rev) AND rev = :rev";
const THERE_AND_NOT_NEWER = "expires > :now_s AND #at <= :at";
const HITS_AND_NOBODY_WAS_TOLD =
  "expires > :now_s AND (#at > :life OR #at = :every) AND (attribute_not_exists(hit) OR hit_life < :life OR hit = :by AND hit_life = :life)";

/** Others mark the same job at the same moment: each round one of them got on. */
const ROUNDS = 5;

/** @param bound of markers per partition; a test's is smaller */
export function cancelStore(table: Table, bound: number = LIMITS.cancelMarkers): CancelStore {
  return {
    mark: (partition, id, at) => mark(table, partition, id, at, bound),
    list: (partition) => list(table, partition),
    get: (partition, id) => get(table, partition, id),
    hit: (partition, life, by) => hit(table, partition, life, by),
    pardon: (partition, id, rev) => pardon(table, partition, id, rev),
  };
}

/**
 * | dies after | then |
 * |---|---|
 * | a slot is taken | it is missed until the slots are counted anew |
 * | the marker is put | done |
 */
async function mark(table: Table, partition: string, id: string, at: number, bound: number): Promise<boolean> {
  const key = keyOf(partition, id);
  let seen: string | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const found = await get(table, partition, id);
    if (found !== undefined) {
      // Another has marked it since we began, and is as good.
      if (seen !== undefined && seen !== found.rev && found.at >= at) return true;
      seen = found.rev;
      if (await renew(table, key, Math.max(at, found.at))) return true;
      continue;
    }
    if (!(await takeSlot(table, partition, bound, async () => (await list(table, partition)).length))) return false;
    if (await put(table, key, at)) return true;
    await giveSlotBack(table, partition);
  }
  throw new StoreUnavailable(`the cancel marker of job ${id} changes all the time`);
}

async function put(table: Table, key: Key, at: number): Promise<boolean> {
  const item: CancelItem = { ...key, at, expires: garbageAt(table), rev: newRev(), seq: table.clock.now() };
  const { written } = await putItem(table, item, { condition: NONE_OR_LAPSED, values: nowSeconds(table) }, (found) => found?.rev === item.rev);
  return written;
}

/**
 * A new `rev` each time: it is a new wish, also where the time stays. n.b. a repetition of this write may count twice: numbers
 * need not be without gaps.
 */
async function renew(table: Table, key: Key, at: number): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<CancelItem>(
    table,
    key,
    {
      update: "SET #at = :at, expires = :expires, mark_rev = :rev, seq = if_not_exists(seq, :now) + :one",
      condition: THERE_AND_NOT_NEWER,
      names: { "#at": "at" },
      values: { ...nowSeconds(table), ":at": at, ":rev": rev, ":expires": garbageAt(table), ":now": table.clock.now(), ":one": 1 },
    },
    (item) => item?.mark_rev === rev,
  );
  return written;
}

async function list(table: Table, partition: string): Promise<CancelMark[]> {
  const now = table.clock.now();
  const items = await queryAll<CancelItem>(table, keyOf(partition, "").pk);
  return items.filter((item) => !isExpired(item, now)).map(toMark);
}

async function get(table: Table, partition: string, id: string): Promise<CancelMark | undefined> {
  const item = await readItem<CancelItem>(table, keyOf(partition, id));
  return item === undefined || isExpired(item, table.clock.now()) ? undefined : toMark(item);
}

async function hit(table: Table, partition: string, { job, enqueuedAt }: JobLife, by: string): Promise<boolean> {
  const { written } = await updateItem<CancelItem>(
    table,
    keyOf(partition, job),
    {
      update: "SET hit = :by, hit_life = :life",
      condition: HITS_AND_NOBODY_WAS_TOLD,
      names: { "#at": "at" },
      values: { ...nowSeconds(table), ":by": by, ":life": enqueuedAt, ":every": EVERY_LIFE },
    },
    (item) => item?.hit === by && item.hit_life === enqueuedAt,
  );
  return written;
}

async function pardon(table: Table, partition: string, id: string, rev: string): Promise<void> {
  await updateItem<CancelItem>(table, keyOf(partition, id), {
    update: "SET pardoned = :rev",
    condition: NO_OTHER_WISH_SINCE,
    values: { ":rev": rev },
  });
}

function keyOf(partition: string, id: string): Key {
  return { pk: `${PREFIX}${partition}`, sk: id };
}

/** Counted from its putting, whatever its time. */
function garbageAt({ clock }: Table): number {
  return expiresAt(clock.now() + LIMITS.cancelKeepMs);
}

/** As `expires` is compared, exactly as `isExpired` does. */
function nowSeconds({ clock }: Table): { ":now_s": number } {
  return { ":now_s": clock.now() / 1000 };
}

function toMark({ sk, at, rev, mark_rev = rev, seq, hit_life, pardoned }: CancelItem): CancelMark {
  return {
    id: sk,
    at,
    rev: mark_rev,
    ...(seq === undefined ? {} : { seq }),
    ...(hit_life === undefined ? {} : { hitLife: hit_life }),
    ...(pardoned === mark_rev ? { pardoned: true } : {}),
  };
}
