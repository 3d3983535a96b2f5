import { hash32 } from "../core/contract/hash.ts";
import { LIMITS } from "../core/contract/limits.ts";
import type { ParkedJob, ParkedReason, ParkedRef, ParkedStore } from "../core/job/parked.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { deleteItem, type Key, newRev, putItem, queryPage, readItem, type Table, updateItem } from "./items.ts";
import { DUE_INDEX } from "./table.ts";

/** n.b. no `expires`: a parked job is never garbage. */
interface ParkedItem extends Key {
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly reason: ParkedReason;
  readonly due: number;
  /** Where the due index keeps it; follows from the job's id. */
  readonly due_pk: string;
  readonly since: number;
  readonly body: string;
  readonly rev: string;
}

const PREFIX = "PARKED#";
const CURSOR = "parked";

/*
 *   worker    park (rev 1) ─────────────────────────────────── a redelivery: touch (rev 3)
 *   index            due ≤ now                                      │
 *   pump                └─▶ claim: due = until (rev 2) ─▶ publish ─▶ │ ─▶ remove rev 2: refused, it is due again at `until`
 *
 * A message is acked in favour of an item only after the acker's own write to it, and such a write moves `rev`: the pump
 * can't remove what it did not publish, and two pumps can't both move the same `due`.
 */
const NOT_LATER_THAN_MINE = "attribute_not_exists(pk) OR attempt <= :attempt";
const STILL_DUE = "attribute_exists(pk) AND due <= :now";
const REV_AS_READ = "rev = :read";
const MINE_OR_LATER = "attribute_exists(pk) AND attempt >= :attempt";

export function parkedStore(table: Table): ParkedStore {
  return {
    park: (job) => park(table, job),
    dueRefs: (shard, now, limit) => dueRefs(table, shard, now, limit),
    claim: (ref, now, until) => claim(table, ref, now, until),
    remove: (ref, rev) => deleteItem(table, keyOf(ref), rev),
    postpone: (ref, rev, due) => postpone(table, ref, rev, due),
    touch: (ref, attempt) => touch(table, ref, attempt),
    get: (ref) => get(table, ref),
    list: (partition, page) => list(table, partition, page),
  };
}

async function park(table: Table, job: Omit<ParkedJob, "rev">): Promise<boolean> {
  const { name, queue, attempt, reason, due, since, body } = job;
  const rev = newRev();
  const item: ParkedItem = { ...keyOf(job), name, queue, attempt, reason, due, due_pk: dueKey(dueShard(job.id)), since, body, rev };
  const { written } = await putItem(table, item, { condition: NOT_LATER_THAN_MINE, values: { ":attempt": attempt } }, (found) => found?.rev === rev);
  return written;
}

async function dueRefs(table: Table, shard: number, now: number, limit: number): Promise<ParkedRef[]> {
  const { items } = await queryPage<Key>(table, {
    index: DUE_INDEX,
    where: "due_pk = :shard AND due <= :now",
    values: { ":shard": dueKey(shard), ":now": now },
    limit,
    consistent: false,
  });
  return items.map(({ pk, sk }) => ({ partition: pk.slice(PREFIX.length), id: sk }));
}

async function claim(table: Table, ref: ParkedRef, now: number, until: number): Promise<ParkedJob | undefined> {
  const rev = newRev();
  const claimed = await updateItem<ParkedItem>(
    table,
    keyOf(ref),
    { update: "SET due = :until, rev = :rev", condition: STILL_DUE, values: { ":until": until, ":rev": rev, ":now": now } },
    (item) => item?.rev === rev,
  );
  return claimed.written ? toJob(claimed.item) : undefined;
}

async function postpone(table: Table, ref: ParkedRef, read: string, due: number): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<ParkedItem>(
    table,
    keyOf(ref),
    { update: "SET due = :due, rev = :rev", condition: REV_AS_READ, values: { ":due": due, ":rev": rev, ":read": read } },
    (item) => item?.rev === rev,
  );
  return written;
}

async function touch(table: Table, ref: ParkedRef, attempt: number): Promise<ParkedJob | undefined> {
  const rev = newRev();
  const touched = await updateItem<ParkedItem>(
    table,
    keyOf(ref),
    { update: "SET rev = :rev", condition: MINE_OR_LATER, values: { ":rev": rev, ":attempt": attempt } },
    (item) => item?.rev === rev,
  );
  return touched.written ? toJob(touched.item) : undefined;
}

async function get(table: Table, ref: ParkedRef): Promise<ParkedJob | undefined> {
  const item = await readItem<ParkedItem>(table, keyOf(ref));
  return item === undefined ? undefined : toJob(item);
}

/** A page may be shorter than asked for, as bodies are large and a page is at most 1 MB; the cursor says whether more may follow. */
async function list(table: Table, partition: string, page: Parameters<ParkedStore["list"]>[1]): ReturnType<ParkedStore["list"]> {
  const pk = `${PREFIX}${partition}`;
  const after = decodeCursor(CURSOR, page.cursor);
  const { items, last } = await queryPage<ParkedItem>(table, {
    where: "pk = :pk",
    values: { ":pk": pk },
    limit: page.limit,
    ...(after === undefined ? {} : { after: { pk, sk: after } }),
  });
  return { jobs: items.map(toJob), ...(last === undefined ? {} : { cursor: encodeCursor(CURSOR, last.sk) }) };
}

function keyOf({ partition, id }: ParkedRef): Key {
  return { pk: `${PREFIX}${partition}`, sk: id };
}

function dueShard(id: string): number {
  return hash32(id) % LIMITS.dueShards;
}

function dueKey(shard: number): string {
  return `DUE#${shard}`;
}

function toJob({ pk, sk, name, queue, attempt, reason, due, since, body, rev }: ParkedItem): ParkedJob {
  return { partition: pk.slice(PREFIX.length), id: sk, name, queue, attempt, reason, due, since, body, rev };
}
