import type { SuspectStore } from "../core/job/suspects.ts";
import { StoreUnavailable } from "./errors.ts";
import { deleteItem, expiresAt, isExpired, type Key, newRev, putItem, readItem, type Table, updateItem } from "./items.ts";

/**
 * The count is the size of a set with one mark per start. A mark that is added twice is in it once: however often a
 * request is repeated, and whatever others add in between, a start counts once, and an innocent job is not brought
 * nearer to its burial by a bad network. Jobs are buried at a handful of starts, so the set stays small.
 */
interface SuspectItem extends Key {
  /** n.b. DynamoDB knows no empty set; the item is never written without a mark. */
  readonly starts: ReadonlySet<string>;
  readonly expires: number;
}

const PREFIX = "SUSPECT#";
const KEEP_MS = 7 * 24 * 3600 * 1000;

const NOT_LAPSED = "attribute_not_exists(pk) OR expires > :now";
const LAPSED = "expires <= :now";
/** A lapsed count is taken by one of all that start anew; the others find it fresh in the next round. */
const ROUNDS = 5;

export function suspectStore(table: Table): SuspectStore {
  return {
    starts: (partition, id) => starts(table, keyOf(partition, id)),
    started: (partition, id) => started(table, keyOf(partition, id)),
    cleared: (partition, id) => cleared(table, keyOf(partition, id)),
  };
}

async function starts(table: Table, key: Key): Promise<number> {
  const item = await readItem<SuspectItem>(table, key);
  return item === undefined || isExpired(item, table.clock.now()) ? 0 : item.starts.size;
}

async function started(table: Table, key: Key): Promise<number> {
  const mark = newRev();
  const isOurs = (item: SuspectItem | undefined) => item?.starts.has(mark) === true;
  for (let round = 0; round < ROUNDS; round++) {
    const now = table.clock.now();
    const expires = expiresAt(now + KEEP_MS);
    const values = { ":now": now / 1000 };
    const counted = await updateItem<SuspectItem>(
      table,
      key,
      {
        update: "SET expires = :expires ADD starts :start",
        condition: NOT_LAPSED,
        values: { ...values, ":expires": expires, ":start": new Set([mark]) },
      },
      isOurs,
    );
    if (counted.written) return counted.item.starts.size;
    const fresh: SuspectItem = { ...key, starts: new Set([mark]), expires };
    if ((await putItem(table, fresh, { condition: LAPSED, values }, isOurs)).written) return 1;
  }
  throw new StoreUnavailable(`the count of starts of ${key.sk} changes all the time`);
}

/** n.b. when its reply was lost, a repetition may also take a start that came in between: it counts from one again. */
async function cleared(table: Table, key: Key): Promise<void> {
  await deleteItem(table, key);
}

function keyOf(partition: string, id: string): Key {
  return { pk: `${PREFIX}${partition}`, sk: id };
}
