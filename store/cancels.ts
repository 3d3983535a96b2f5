import { LIMITS } from "../core/contract/limits.ts";
import type { CancelMark, CancelStore } from "../core/job/cancels.ts";
import { giveSlotBack, takeSlot } from "./cancel-slots.ts";
import { StoreUnavailable } from "./errors.ts";
import { expiresAt, isExpired, type Key, newRev, putItem, queryAll, readItem, type Table, updateItem } from "./items.ts";

interface CancelItem extends Key {
  readonly at: number;
  /** The mark of the one call that hit. */
  readonly hit?: string;
  readonly expires: number;
  /** Of the write that made it: a newer time leaves it as it is. */
  readonly rev: string;
}

const PREFIX = "CANCELS#";

/*
 *   API       mark ──────────── mark: newer time                    mark: made anew, unhit
 *   marker     at 1               at 2 ──────────────────── 7 days ─┤
 *   workers         hit: yes, once      hit: no                      hit: no
 */
const NONE_OR_LAPSED = "attribute_not_exists(pk) OR expires <= :now_s";
const THERE_AND_OLDER = "expires > :now_s AND #at < :at";
const THERE_AND_NOT_HIT_BY_ANOTHER = "expires > :now_s AND (attribute_not_exists(hit) OR hit = :by)";

/** Others mark the same job at the same moment: each round one of them got on. */
const ROUNDS = 5;

/** @param bound of markers per partition; a test's is smaller */
export function cancelStore(table: Table, bound: number = LIMITS.cancelMarkers): CancelStore {
  return {
    mark: (partition, id, at) => mark(table, partition, id, at, bound),
    list: (partition) => list(table, partition),
    get: (partition, id) => get(table, partition, id),
    hit: (partition, id, by) => hit(table, partition, id, by),
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
  for (let round = 0; round < ROUNDS; round++) {
    const found = await get(table, partition, id);
    if (found !== undefined) {
      if (found.at >= at || (await renew(table, key, at))) return true;
      continue;
    }
    if (!(await takeSlot(table, partition, bound, async () => (await list(table, partition)).length))) return false;
    if (await put(table, key, at)) return true;
    await giveSlotBack(table, partition);
  }
  throw new StoreUnavailable(`the cancel marker of job ${id} changes all the time`);
}

async function put(table: Table, key: Key, at: number): Promise<boolean> {
  const item: CancelItem = { ...key, at, expires: garbageAt(table), rev: newRev() };
  const { written } = await putItem(table, item, { condition: NONE_OR_LAPSED, values: nowSeconds(table) }, (found) => found?.rev === item.rev);
  return written;
}

/** A time that is there is as good as ours, whoever wrote it. */
async function renew(table: Table, key: Key, at: number): Promise<boolean> {
  const { written } = await updateItem<CancelItem>(
    table,
    key,
    {
      update: "SET #at = :at, expires = :expires",
      condition: THERE_AND_OLDER,
      names: { "#at": "at" },
      values: { ...nowSeconds(table), ":at": at, ":expires": garbageAt(table) },
    },
    (item) => item !== undefined && item.at >= at,
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

async function hit(table: Table, partition: string, id: string, by: string): Promise<boolean> {
  const { written } = await updateItem<CancelItem>(
    table,
    keyOf(partition, id),
    { update: "SET hit = :by", condition: THERE_AND_NOT_HIT_BY_ANOTHER, values: { ...nowSeconds(table), ":by": by } },
    (item) => item?.hit === by,
  );
  return written;
}

function keyOf(partition: string, id: string): Key {
  return { pk: `${PREFIX}${partition}`, sk: id };
}

/** Counted from its putting: `at` may lie at the end of all days, for an id that is never enqueued again. */
function garbageAt({ clock }: Table): number {
  return expiresAt(clock.now() + LIMITS.cancelKeepMs);
}

/** As `expires` is compared, exactly as `isExpired` does. */
function nowSeconds({ clock }: Table): { ":now_s": number } {
  return { ":now_s": clock.now() / 1000 };
}

function toMark({ sk, at }: CancelItem): CancelMark {
  return { id: sk, at };
}
