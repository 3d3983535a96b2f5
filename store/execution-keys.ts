import { LIMITS } from "../core/contract/limits.ts";
import type { JobLife } from "../core/job/life.ts";
import type { ExecutionKeyRef, ExecutionKeyStore, Lock } from "../core/keys/execution-key-store.ts";
import { keyHash } from "../core/keys/key-hash.ts";
import type { RunIdentity } from "../core/keys/runs.ts";
import { deleteItem, expiresAt, type Key, newRev, putItem, queryPage, readItem, type Table, updateItem } from "./items.ts";

/** Besides `rev`, releases and moves of a reservation leave their own where only they write: so each is known again though others have gone on from it. */
interface LockItem extends Key {
  /** With `run` and `task` only while it is held. */
  readonly holder?: string;
  readonly run?: string;
  readonly task?: string;
  readonly token: number;
  readonly reserved?: string;
  readonly reserved_until?: number;
  /** Only while it is free: a day after. */
  readonly expires?: number;
  readonly rev: string;
  readonly release_rev?: string;
  readonly reserve_rev?: string;
}

/** n.b. a row that has lapsed counts as long as it is there: who finds it looks for its job, and takes it away if that is gone. */
interface WaiterRow extends Key {
  /** Not in a row of an older build. */
  readonly expires?: number;
}

const PREFIX = "LOCK#";
/** A lock made anew starts at epoch ms, so above the old one's token: nobody acquires it a thousand times a second for ever. */
const FREE_KEEP_MS = 24 * 3600 * 1000;

/*
 *   run A     acquire (token 7) ───────────────── release: reserved for C, 30 s
 *   run B           acquire: held                        │ acquire: reserved │ lapsed ─▶ acquire (token 8)
 *   run C                                                └──▶ acquire (token 8)
 *
 *   run A     acquire (token 7) … dead                        release: refused, its run is not there any more
 *   run D                          acquire instead of A (token 8)
 *
 * One write decides between two runs that want it, and between a run that comes to its end and one that takes it for dead.
 */
const FREE_FOR_ME = "attribute_not_exists(#holder) AND (attribute_not_exists(reserved) OR reserved = :job OR reserved_until <= :now)";
const FREE_OR_THE_DEADS = `${FREE_FOR_ME} OR #run = :instead`;
const HELD_BY_ME = "#run = :run";
const FREE_AND_RESERVED = "attribute_not_exists(#holder) AND reserved = :from";

const HELD = { "#holder": "holder", "#run": "run", "#task": "task" } as const;

/** The largest number of 15 digits: the year 33658. Rows sort as text. */
const MAX_ENQUEUED_AT = 999_999_999_999_999;
/** Rows of one request: at 200 bytes each they stay far below its 1 MB. */
const PAGE = 1_000;

export function executionKeyStore(table: Table): ExecutionKeyStore {
  return {
    acquire: (ref, me, now, instead) => acquire(table, ref, me, now, instead),
    read: (ref) => read(table, ref),
    release: (ref, run, reserve) => release(table, ref, run, reserve),
    reserve: (ref, from, to) => reserve(table, ref, from, to),
    enlist: (ref, waiter) => enlist(table, ref, waiter),
    leave: (ref, waiter) => leave(table, ref, waiter),
    waiters: (ref, limit) => waiters(table, ref, limit),
  };
}

/** A run acquires a lock once: where it stands, its write has landed, whichever repetition it was, with the token that it got. */
async function acquire(table: Table, ref: ExecutionKeyRef, me: RunIdentity, now: number, instead?: string): ReturnType<ExecutionKeyStore["acquire"]> {
  const acquired = await updateItem<LockItem>(
    table,
    lockKey(ref),
    {
      update:
        "SET #holder = :job, #run = :run, #task = :task, #token = if_not_exists(#token, :now) + :one, rev = :rev " +
        "REMOVE reserved, reserved_until, expires",
      condition: instead === undefined ? FREE_FOR_ME : FREE_OR_THE_DEADS,
      names: { ...HELD, "#token": "token" },
      values: {
        ":job": me.job,
        ":run": me.run,
        ":task": me.task,
        ":now": now,
        ":one": 1,
        ":rev": newRev(),
        ...(instead === undefined ? {} : { ":instead": instead }),
      },
    },
    (item) => item?.run === me.run,
  );
  const lock = acquired.written ? toLock(acquired.item) : await read(table, ref);
  return lock?.run === me.run ? { acquired: true, token: lock.token } : { acquired: false, lock };
}

async function read(table: Table, ref: ExecutionKeyRef): Promise<Lock | undefined> {
  const item = await readItem<LockItem>(table, lockKey(ref));
  return item === undefined ? undefined : toLock(item);
}

async function release(table: Table, ref: ExecutionKeyRef, run: string, reserve?: { job: string; until: number }): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<LockItem>(
    table,
    lockKey(ref),
    {
      update: `SET expires = :expires, rev = :rev, release_rev = :rev${reserve === undefined ? "" : SET_RESERVATION} REMOVE #holder, #run, #task`,
      condition: HELD_BY_ME,
      names: HELD,
      values: { ":run": run, ":rev": rev, ":expires": garbageAt(table, FREE_KEEP_MS), ...reservation(reserve) },
    },
    (item) => item?.release_rev === rev,
  );
  return written;
}

async function reserve(table: Table, ref: ExecutionKeyRef, from: string, to?: { job: string; until: number }): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<LockItem>(
    table,
    lockKey(ref),
    {
      update: `SET expires = :expires, rev = :rev, reserve_rev = :rev${to === undefined ? " REMOVE reserved, reserved_until" : SET_RESERVATION}`,
      condition: FREE_AND_RESERVED,
      names: { "#holder": HELD["#holder"] },
      values: { ":from": from, ":rev": rev, ":expires": garbageAt(table, FREE_KEEP_MS), ...reservation(to) },
    },
    (item) => item?.reserve_rev === rev,
  );
  return written;
}

const SET_RESERVATION = ", reserved = :reserved, reserved_until = :until";

function reservation(to: { job: string; until: number } | undefined): Record<string, unknown> {
  return to === undefined ? {} : { ":reserved": to.job, ":until": to.until };
}

/** The row says nothing but its key: put again, it is the same, and kept for longer. */
async function enlist(table: Table, ref: ExecutionKeyRef, waiter: JobLife): Promise<void> {
  const expires = garbageAt(table, LIMITS.waiterKeepMs);
  await putItem<WaiterRow>(table, { ...rowKey(ref, waiter), expires }, {}, (found) => found !== undefined && (found.expires ?? expires) >= expires);
}

async function leave(table: Table, ref: ExecutionKeyRef, waiter: JobLife): Promise<void> {
  await deleteItem(table, rowKey(ref, waiter));
}

async function waiters(table: Table, ref: ExecutionKeyRef, limit: number): Promise<JobLife[]> {
  const { pk } = lockKey(ref);
  const prefix = rowPrefix(ref);
  const line: JobLife[] = [];
  let after: Key | undefined;
  // Ends: each page but the last has at least one row of the `limit`.
  do {
    const page = await queryPage<Key>(table, {
      where: "pk = :pk AND begins_with(sk, :rows)",
      values: { ":pk": pk, ":rows": prefix },
      limit: Math.min(PAGE, limit - line.length),
      ...(after === undefined ? {} : { after }),
    });
    line.push(...page.items.map(({ sk }) => toWaiter(sk.slice(prefix.length))));
    after = page.last;
  } while (after !== undefined && line.length < limit);
  return line;
}

function garbageAt({ clock }: Table, keepMs: number): number {
  return expiresAt(clock.now() + keepMs);
}

function lockKey({ partition, key }: ExecutionKeyRef): Key {
  return { pk: `${PREFIX}${partition}`, sk: `${keyHash(key)}#LOCK` };
}

function rowPrefix({ key }: ExecutionKeyRef): string {
  return `${keyHash(key)}#W#`;
}

function rowKey(ref: ExecutionKeyRef, { job, enqueuedAt }: JobLife): Key {
  return { pk: lockKey(ref).pk, sk: `${rowPrefix(ref)}${padded(enqueuedAt)}#${job}` };
}

/** Envelopes are other programs' work: whatever number stands there, the row must sort, and be found again by the same number. */
function padded(ms: number): string {
  const whole = Number.isNaN(ms) ? 0 : Math.trunc(Math.min(Math.max(ms, 0), MAX_ENQUEUED_AT));
  return String(whole).padStart(String(MAX_ENQUEUED_AT).length, "0");
}

function toWaiter(row: string): JobLife {
  const seam = row.indexOf("#");
  return { job: row.slice(seam + 1), enqueuedAt: Number(row.slice(0, seam)) };
}

function toLock({ holder, run, task, token, reserved, reserved_until }: LockItem): Lock {
  return {
    ...(holder === undefined ? {} : { holder }),
    ...(run === undefined ? {} : { run }),
    ...(task === undefined ? {} : { task }),
    token,
    ...(reserved === undefined ? {} : { reserved }),
    ...(reserved_until === undefined ? {} : { reservedUntil: reserved_until }),
  };
}
