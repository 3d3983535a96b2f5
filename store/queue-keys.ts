import { enqueuedAtIn, type JobLife } from "../core/job/life.ts";
import type { NewParkedJob } from "../core/job/parked.ts";
import { keyHash } from "../core/keys/key-hash.ts";
import type { QueueKeyHandle, QueueKeyRef } from "../core/keys/queue-key-ref.ts";
import type { QueueKeyItem, QueueKeyState, QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { RunIdentity } from "../core/keys/runs.ts";
import { dueKey } from "./due-index.ts";
import { expiresAt, type Key, newRev, readItem, type Table, updateItem, type Written } from "./items.ts";

/**
 * The item of a key. Besides `rev`, each kind of write leaves its own in a field that only writes of that kind move: so
 * one whose reply was lost is known again though others have gone on from it.
 */
interface KeyItem extends Key {
  readonly job_id: string;
  /** Not in an item of an older build. */
  readonly enqueued_at?: number;
  readonly state: QueueKeyState;
  /** Not in an item of an older build. */
  readonly queue?: string;
  readonly attempt: number;
  readonly run?: string;
  readonly task?: string;
  readonly outbox?: NewParkedJob;
  /** With `due_pk` only while publishing: so the due index holds no other key. */
  readonly due?: number;
  readonly due_pk?: string;
  /** With `expires` only when done, epoch ms: what is live is never garbage. */
  readonly until?: number;
  readonly expires?: number;
  /** The `rev` of a bar: it is one until the next write, whoever's. */
  readonly forgotten?: string;
  readonly rev: string;
  readonly claim_rev?: string;
  readonly publish_rev?: string;
  /** Of the write that took the run away, or the key from its job. */
  readonly leave_rev?: string;
}

const PREFIX = "KEY#";

/*
 *                 claim            published           begin                giveBack | finish
 *   enqueuer   publishing ─ deliver ─▶ queued             │                       │
 *   pump           │ due ≤ now ─▶ claimOutbox ─ park ─▶ published                 │
 *   worker         └──────────────────────┴──────────▶ running (run) ───────▶ queued │ done ── until ──▶ no key
 *   another        claim: refused … refused … refused …                    refused │ takes it, if it may
 *
 *   a late copy    dropped: bar ─▶ done, forgotten ── until ──▶ no key
 *   a cut-off run                       │ begin: refused
 *   an enqueuer                         └ claim: takes it
 *
 * One write decides each time: between two enqueuers (the key is not there, or done), between an enqueuer and the pump
 * (still publishing), between two runs (none holds it, or the very one that was found dead), between a run and whoever
 * took it for dead (its run still stands there).
 *
 * n.b. `NOT a = :b` also holds where there is no `a`. AND binds before OR: each pair of parentheses around others doubles the
 * time that dynalite takes, so there is none that is not needed.
 */
const MINE = "job_id = :job AND (attribute_not_exists(enqueued_at) OR enqueued_at = :life)";
const NO_KEY = "attribute_not_exists(pk) OR #until <= :now";
/** To whoever enqueues anew: what was forgotten is remembered against late copies only. */
export const NOTHING_REMEMBERED = `${NO_KEY} OR forgotten = rev`;
const FREE_TO_THIS_JOB = `${NOTHING_REMEMBERED} OR #state = :done AND ${MINE} AND attempt < :attempt`;
const FREE_TO_ANY_JOB = "attribute_not_exists(pk) OR NOT claim_rev = :rev AND (#until <= :now OR #state = :done)";
const MINE_AND_PUBLISHING = `${MINE} AND #state = :publishing`;
const MINE_AND_NOBODY_RUNS_IT = `${MINE} AND #state <> :done AND attempt <= :attempt AND (attribute_not_exists(#run) OR #run = :instead)`;
const NO_KEY_OR_MY_TURN = `${NO_KEY} OR ${MINE_AND_NOBODY_RUNS_IT}`;
const HELD_BY_ME = "#run = :run";
const OUTBOX_STILL_DUE = "due <= :now AND #state = :publishing";

/** No run is called that: what nobody is to be replaced by. */
const NO_RUN = "-";

const STATE = { "#state": "state" } as const;
const QUEUE = { "#queue": "queue" } as const;
const RUN = { "#run": "run", "#task": "task" } as const;
const UNTIL = { "#until": "until" } as const;

export function queueKeyStore(table: Table): QueueKeyStore {
  return {
    claim: (ref, wanted) => claim(table, ref, wanted),
    published: (by, life) => published(table, by, life),
    begin: (ref, me, attempt, now, instead) => begin(table, ref, me, attempt, now, instead),
    giveBack: (ref, run, attempt) => giveBack(table, ref, run, attempt),
    finish: (ref, run, until) => finish(table, ref, run, until),
    release: (ref, life, attempt, until, instead) => release(table, ref, { ...life, attempt, until, instead }),
    bar: (ref, life, stale) => bar(table, ref, life, stale),
    claimOutbox: (handle, now, until) => claimOutbox(table, handle, now, until),
    get: (ref) => get(table, ref, table.clock.now()),
  };
}

/** n.b. `claim_rev` also keeps a repetition that comes late from claiming anew what is done by then; where only a later attempt may, that does. */
async function claim(table: Table, ref: QueueKeyRef, wanted: Parameters<QueueKeyStore["claim"]>[1]): ReturnType<QueueKeyStore["claim"]> {
  const { outbox, due, now, takeDone } = wanted;
  const { id, enqueuedAt, queue, attempt } = outbox;
  const key = keyOf(ref);
  const rev = newRev();
  const { written } = await updateItem<KeyItem>(
    table,
    key,
    {
      update:
        "SET job_id = :job, enqueued_at = :life, #state = :publishing, #queue = :queue, attempt = :attempt, outbox = :outbox, due = :due, " +
        "due_pk = :due_pk, rev = :rev, claim_rev = :rev REMOVE #run, #task, #until, expires, forgotten",
      condition: takeDone ? FREE_TO_ANY_JOB : FREE_TO_THIS_JOB,
      names: { ...STATE, ...QUEUE, ...RUN, ...UNTIL },
      values: {
        ":job": id,
        ":life": enqueuedAt,
        ":queue": queue,
        ":publishing": "publishing",
        ":done": "done",
        ":attempt": attempt,
        ":outbox": outbox,
        ":due": due,
        ":due_pk": dueKey(ref.partition, key.sk),
        ":now": now,
        ":rev": rev,
      },
    },
    (item) => item?.claim_rev === rev,
  );
  return written ? { claimed: true } : { claimed: false, holder: await get(table, ref, now) };
}

/** The item that a claim leaves, for whoever puts it in a transaction of their own. */
export function claimedItem(ref: QueueKeyRef, claimed: { readonly outbox: NewParkedJob; readonly due: number }, rev: string): KeyItem {
  const { outbox, due } = claimed;
  const key = keyOf(ref);
  const { id: job_id, enqueuedAt: enqueued_at, queue, attempt } = outbox;
  return {
    ...key,
    job_id,
    enqueued_at,
    state: "publishing",
    queue,
    attempt,
    outbox,
    due,
    due_pk: dueKey(ref.partition, key.sk),
    rev,
    claim_rev: rev,
  };
}

async function published(table: Table, by: QueueKeyHandle | QueueKeyRef, { job, enqueuedAt }: JobLife): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<KeyItem>(
    table,
    keyOf(by),
    {
      update: "SET #state = :queued, rev = :rev, publish_rev = :rev REMOVE outbox, due, due_pk",
      condition: MINE_AND_PUBLISHING,
      names: STATE,
      values: { ":job": job, ":life": enqueuedAt, ":publishing": "publishing", ":queued": "queued", ":rev": rev },
    },
    (item) => item?.publish_rev === rev,
  );
  return written;
}

/**
 * A run begins once: where it stands, its write has landed, whichever repetition it was. n.b. the key may have been another
 * life's, whose queue is none of this one's.
 */
async function begin(
  table: Table,
  ref: QueueKeyRef,
  me: RunIdentity,
  attempt: number,
  now: number,
  instead = NO_RUN,
): ReturnType<QueueKeyStore["begin"]> {
  const { written } = await updateItem<KeyItem>(
    table,
    keyOf(ref),
    {
      update:
        "SET job_id = :job, enqueued_at = :life, #state = :running, attempt = :attempt, #run = :run, #task = :task, rev = :rev" +
        `${me.queue === undefined ? " REMOVE #queue," : ", #queue = :queue REMOVE"} outbox, due, due_pk, #until, expires, forgotten`,
      condition: NO_KEY_OR_MY_TURN,
      names: { ...STATE, ...QUEUE, ...RUN, ...UNTIL },
      values: {
        ":job": me.job,
        ":life": me.enqueuedAt,
        ...(me.queue === undefined ? {} : { ":queue": me.queue }),
        ":running": "running",
        ":done": "done",
        ":attempt": attempt,
        ":run": me.run,
        ":task": me.task,
        ":instead": instead,
        ":now": now,
        ":rev": newRev(),
      },
    },
    (item) => item?.run === me.run,
  );
  if (written) return { began: true };
  const found = await get(table, ref, now);
  return found?.run === me.run ? { began: true } : { began: false, found };
}

function giveBack(table: Table, ref: QueueKeyRef, run: string, attempt: number): Promise<boolean> {
  return leave(table, ref, {
    update: "SET #state = :queued, attempt = :attempt, rev = :rev, leave_rev = :rev REMOVE #run, #task",
    condition: HELD_BY_ME,
    names: { ...STATE, ...RUN },
    values: { ":run": run, ":queued": "queued", ":attempt": attempt },
  });
}

function finish(table: Table, ref: QueueKeyRef, run: string, until: number): Promise<boolean> {
  return leave(table, ref, {
    update: "SET #state = :done, #until = :until, expires = :expires, rev = :rev, leave_rev = :rev REMOVE #run, #task",
    condition: HELD_BY_ME,
    names: { ...STATE, ...RUN, ...UNTIL },
    values: { ":run": run, ":done": "done", ":until": until, ":expires": expiresAt(until) },
  });
}

interface Release extends JobLife {
  readonly attempt: number;
  readonly until: number;
  readonly instead: string | undefined;
}

function release(table: Table, ref: QueueKeyRef, { job, enqueuedAt, attempt, until, instead = NO_RUN }: Release): Promise<boolean> {
  return leave(table, ref, {
    update: "SET #state = :done, #until = :until, expires = :expires, rev = :rev, leave_rev = :rev REMOVE #run, #task, outbox, due, due_pk",
    condition: MINE_AND_NOBODY_RUNS_IT,
    names: { ...STATE, ...RUN, ...UNTIL },
    values: {
      ":job": job,
      ":life": enqueuedAt,
      ":attempt": attempt,
      ":done": "done",
      ":instead": instead,
      ":until": until,
      ":expires": expiresAt(until),
    },
  });
}

function bar(table: Table, ref: QueueKeyRef, life: JobLife, { attempt, now, until }: Parameters<QueueKeyStore["bar"]>[2]): Promise<boolean> {
  return leave(table, ref, {
    update:
      "SET job_id = :job, enqueued_at = :life, #state = :done, attempt = :attempt, #until = :until, expires = :expires, forgotten = :rev, " +
      "rev = :rev, leave_rev = :rev REMOVE #queue",
    condition: NO_KEY,
    names: { ...STATE, ...QUEUE, ...UNTIL },
    values: {
      ":job": life.job,
      ":life": life.enqueuedAt,
      ":done": "done",
      ":attempt": attempt,
      ":until": until,
      ":expires": expiresAt(until),
      ":now": now,
    },
  });
}

interface Leave {
  /** Sets `rev` and `leave_rev` to `:rev`. */
  readonly update: string;
  readonly condition: string;
  readonly names: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<string, unknown>>;
}

async function leave(table: Table, ref: QueueKeyRef, { values, ...expression }: Leave): Promise<boolean> {
  const rev = newRev();
  const { written } = await updateItem<KeyItem>(
    table,
    keyOf(ref),
    { ...expression, values: { ...values, ":rev": rev } },
    (item) => item?.leave_rev === rev,
  );
  return written;
}

async function claimOutbox(table: Table, handle: QueueKeyHandle, now: number, until: number): Promise<QueueKeyItem | undefined> {
  const rev = newRev();
  const claimed: Written<KeyItem> = await updateItem<KeyItem>(
    table,
    keyOf(handle),
    {
      update: "SET due = :until, rev = :rev",
      condition: OUTBOX_STILL_DUE,
      names: STATE,
      values: { ":until": until, ":now": now, ":publishing": "publishing", ":rev": rev },
    },
    (item) => item?.rev === rev,
  );
  return claimed.written ? toItem(claimed.item) : undefined;
}

/** n.b. DynamoDB removes lapsed items hours late: one whose memory has lapsed is no key. */
async function get(table: Table, ref: QueueKeyRef, now: number): Promise<QueueKeyItem | undefined> {
  const item = await readItem<KeyItem>(table, keyOf(ref));
  return item === undefined || (item.until !== undefined && item.until <= now) ? undefined : toItem(item);
}

function keyOf(by: QueueKeyHandle | QueueKeyRef): Key {
  return { pk: `${PREFIX}${by.partition}`, sk: "hash" in by ? by.hash : keyHash(by.key) };
}

/** What the due index tells of a key. */
export function handleOf({ pk, sk }: Key): QueueKeyHandle {
  return { partition: pk.slice(PREFIX.length), hash: sk };
}

function toItem({ job_id, enqueued_at, state, queue, attempt, run, task, outbox, due, until, forgotten, rev }: KeyItem): QueueKeyItem {
  return {
    jobId: job_id,
    ...(enqueued_at === undefined ? {} : { enqueuedAt: enqueued_at }),
    state,
    ...(queue === undefined ? {} : { queue }),
    attempt,
    ...(run === undefined ? {} : { run }),
    ...(task === undefined ? {} : { task }),
    // That of an older build does not tell its life itself.
    ...(outbox === undefined ? {} : { outbox: { ...outbox, enqueuedAt: outbox.enqueuedAt ?? enqueuedAtIn(outbox.body) ?? 0 } }),
    ...(due === undefined ? {} : { due }),
    ...(until === undefined ? {} : { until }),
    ...(forgotten === rev ? { forgotten: true } : {}),
  };
}
