import { enqueuedAtIn, type JobStage } from "../core/job/life.ts";
import type { Due, DueEnd, Expedited, NewParkedJob, ParkedJob, ParkedReason, ParkedRef, ParkedStore } from "../core/job/parked.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { dueKey, dueKeys } from "./due-index.ts";
import { atRev, deleteItem, type Key, newRev, putItem, queryPage, readItem, type Table, updateItem } from "./items.ts";
import { handleOf } from "./queue-keys.ts";

/** n.b. no `expires`: a parked job is never garbage. */
interface ParkedItem extends Key {
  /** Not in an item of an older build: its body tells. */
  readonly enqueued_at?: number;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly reason: ParkedReason;
  readonly due: number;
  /** Where the due index keeps it; follows from partition and id. */
  readonly due_pk: string;
  readonly since: number;
  readonly body: string;
  readonly run?: string;
  /** Only while a pump has it. */
  readonly claimed?: true;
  readonly rev: string;
}

const PREFIX = "PARKED#";
const CURSOR = "parked";

/*
 *   worker    park (rev 1) ─────────────────────────────────── a redelivery: touch (rev 3)
 *   index            due ≤ now                                      │
 *   pump                └─▶ claim: due = until (rev 2) ─▶ publish ─▶ │ ─▶ remove rev 2: refused, it is due again at `until`
 *
 *   its run   park long (run) ── hold ── hold ── (dead)                     hold, handBack, removeHeld: refused
 *   pump                                    due ≤ now ─▶ claim: no run any more ─▶ publish …
 *
 * A message is acked in favour of an item only after the acker's own write to it, and such a write moves `rev`: the pump
 * can't remove what it did not publish, and two pumps can't both move the same `due`.
 */
const MY_LIFE = "(attribute_not_exists(enqueued_at) OR enqueued_at = :life)";
// n.b. AND binds before OR: a pair of parentheses that is not needed doubles, around others, the time that dynalite reads it for.
const EARLIER_OR_NOBODYS_OR_MINE = `${MY_LIFE} AND (attempt < :attempt OR attempt = :attempt AND (attribute_not_exists(#run) OR #run = :run))`;
const NONE_OR_MINE_OR_OF_AN_EARLIER_LIFE = `attribute_not_exists(pk) OR enqueued_at < :life OR ${EARLIER_OR_NOBODYS_OR_MINE}`;
/** For a new job, which is kept elsewhere as long as it is refused. */
const NOTHING_TO_TELL_OF = `attribute_not_exists(pk) OR (enqueued_at < :life AND reason <> :cancelled) OR ${EARLIER_OR_NOBODYS_OR_MINE}`;
const STILL_DUE = "attribute_exists(pk) AND due <= :now";
const REV_AS_READ = "rev = :read";
const REV_AS_READ_AND_NOT_LONG = "rev = :read AND reason <> :long";
const MINE_OR_LATER = `attribute_exists(pk) AND ${MY_LIFE} AND attempt >= :attempt`;
const WAITS_FOR_LATER = "reason = :waiting AND due > :now AND attribute_not_exists(claimed)";
const HELD_BY_ME = "#run = :run";
const RUN = { "#run": "run" };
/** No run is called that. */
const NOBODY = "-";

const WAITING: ParkedReason = "waiting";
const LONG: ParkedReason = "long";
const CANCELLED: ParkedReason = "cancelled";
/** Reasons of a job that no message was of yet. */
const NEW: ReadonlySet<ParkedReason> = new Set(["outbox", "delayed"]);

/** An item that is neither to be brought forward nor as the refusal found it was written in between: looked at again. */
const ROUNDS = 5;

export function parkedStore(table: Table): ParkedStore {
  return {
    park: (job, run) => park(table, job, run),
    due: (shard, now, limit, from = "oldest") => due(table, shard, { now, limit, from }),
    claim: (ref, now, until) => claim(table, ref, now, until),
    remove: (ref, rev) => deleteItem(table, keyOf(ref), atRev(rev)),
    postpone: (ref, rev, due, body) => postpone(table, ref, rev, { due, body }),
    expedite: (ref, now) => expedite(table, ref, now),
    cancel: (ref, rev, now) => cancel(table, ref, rev, now),
    touch: (ref, mine) => touch(table, ref, mine),
    hold: (ref, run, due) => hold(table, ref, run, due),
    handBack: (ref, run, due) => handBack(table, ref, run, due),
    removeHeld: (ref, run) => deleteItem(table, keyOf(ref), { condition: HELD_BY_ME, names: RUN, values: { ":run": run } }),
    get: (ref) => get(table, ref),
    list: (partition, page) => list(table, partition, page),
  };
}

async function park(table: Table, job: NewParkedJob, run = job.run ?? NOBODY): Promise<string | undefined> {
  const { attempt, enqueuedAt, reason } = job;
  const rev = newRev();
  const item = parkedItem(job, rev);
  const values = { ":attempt": attempt, ":life": enqueuedAt, ":run": run };
  const expected = NEW.has(reason)
    ? { condition: NOTHING_TO_TELL_OF, names: RUN, values: { ...values, ":cancelled": CANCELLED } }
    : { condition: NONE_OR_MINE_OR_OF_AN_EARLIER_LIFE, names: RUN, values };
  const { written } = await putItem(table, item, expected, (found) => found?.rev === rev);
  return written ? rev : undefined;
}

/** The item that a job is parked as, whoever puts it. */
export function parkedItem(job: NewParkedJob, rev: string): ParkedItem {
  const { enqueuedAt, name, queue, attempt, reason, due, since, body, run } = job;
  const held = run === undefined ? {} : { run };
  return {
    ...keyOf(job),
    enqueued_at: enqueuedAt,
    name,
    queue,
    attempt,
    reason,
    due,
    due_pk: dueKey(job.partition, job.id),
    since,
    body,
    ...held,
    rev,
  };
}

/** What is in the index and no parked job is a queue key: nothing else carries `due_pk`. */
async function due(table: Table, shard: number, wish: { readonly now: number; readonly limit: number; readonly from: DueEnd }): Promise<Due[]> {
  const keys = await dueKeys(table, shard, wish);
  return keys.map(({ due: at, ...key }) =>
    key.pk.startsWith(PREFIX) ? { kind: "parked", ref: refOf(key), at } : { kind: "queue_key", ref: handleOf(key), at },
  );
}

function claim(table: Table, ref: ParkedRef, now: number, until: number): Promise<ParkedJob | undefined> {
  return change(table, ref, {
    update: "SET due = :until, claimed = :yes, rev = :rev REMOVE #run",
    condition: STILL_DUE,
    names: RUN,
    values: { ":until": until, ":yes": true, ":now": now },
  });
}

async function postpone(
  table: Table,
  ref: ParkedRef,
  read: string,
  to: { readonly due: number; readonly body: string | undefined },
): Promise<boolean> {
  const { due, body } = to;
  const postponed = await change(table, ref, {
    update: `SET due = :due, rev = :rev${body === undefined ? "" : ", body = :body"} REMOVE claimed`,
    condition: REV_AS_READ,
    values: { ":due": due, ":read": read, ...(body === undefined ? {} : { ":body": body }) },
  });
  return postponed !== undefined;
}

/** n.b. only what waits for a key: a retry's delay stands, and a long job that a run holds would run twice. */
async function expedite(table: Table, ref: ParkedRef, now: number): Promise<Expedited> {
  for (let round = 0; round < ROUNDS; round++) {
    const expedited = await change(table, ref, {
      update: "SET due = :now, rev = :rev",
      condition: WAITS_FOR_LATER,
      values: { ":now": now, ":waiting": WAITING },
    });
    if (expedited !== undefined) return "expedited";
    const found = await get(table, ref);
    if (found?.reason !== WAITING) return "gone";
    if (found.claimed || found.due <= now) return "on_its_way";
  }
  // Each round another pump had it: it goes on its way often enough.
  return "on_its_way";
}

async function cancel(table: Table, ref: ParkedRef, read: string, now: number): Promise<boolean> {
  const cancelled = await change(table, ref, {
    update: "SET reason = :cancelled, due = :now, rev = :rev REMOVE claimed",
    condition: REV_AS_READ_AND_NOT_LONG,
    values: { ":cancelled": CANCELLED, ":long": LONG, ":now": now, ":read": read },
  });
  return cancelled !== undefined;
}

function touch(table: Table, ref: ParkedRef, { enqueuedAt, attempt }: JobStage): Promise<ParkedJob | undefined> {
  return change(table, ref, { update: "SET rev = :rev", condition: MINE_OR_LATER, values: { ":life": enqueuedAt, ":attempt": attempt } });
}

async function hold(table: Table, ref: ParkedRef, run: string, due: number): Promise<boolean> {
  const held = await change(table, ref, {
    update: "SET due = :due, rev = :rev",
    condition: HELD_BY_ME,
    names: RUN,
    values: { ":due": due, ":run": run },
  });
  return held !== undefined;
}

async function handBack(table: Table, ref: ParkedRef, run: string, due: number): Promise<boolean> {
  const back = await change(table, ref, {
    update: "SET due = :due, rev = :rev REMOVE #run",
    condition: HELD_BY_ME,
    names: RUN,
    values: { ":due": due, ":run": run },
  });
  return back !== undefined;
}

interface Change {
  /** Sets `rev` to `:rev`. */
  readonly update: string;
  readonly condition: string;
  readonly names?: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, unknown>>;
}

/** One write to an item that is there. @returns it as it now is; `undefined` when the condition does not hold */
async function change(table: Table, ref: ParkedRef, { values, ...expression }: Change): Promise<ParkedJob | undefined> {
  const rev = newRev();
  const changed = await updateItem<ParkedItem>(table, keyOf(ref), { ...expression, values: { ...values, ":rev": rev } }, (item) => item?.rev === rev);
  return changed.written ? toJob(changed.item) : undefined;
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

function refOf({ pk, sk }: Key): ParkedRef {
  return { partition: pk.slice(PREFIX.length), id: sk };
}

function toJob(item: ParkedItem): ParkedJob {
  const { name, queue, attempt, reason, due, since, body, run, claimed = false, rev } = item;
  const enqueuedAt = item.enqueued_at ?? enqueuedAtIn(body) ?? 0;
  return { ...refOf(item), enqueuedAt, name, queue, attempt, reason, due, since, body, ...(run === undefined ? {} : { run }), claimed, rev };
}
