import type { TaskLease, TaskState, TaskStore } from "../core/partition/task-store.ts";
import { StoreRefused } from "./errors.ts";
import { deleteItem, expiresAt, type Key, putItem, queryAll, readItem, type Table, updateItem } from "./items.ts";
import { forgetReport, putReport, readReports } from "./task-reports.ts";

/** A lease, at most 200 bytes. It needs no `rev`: `beat` only rises and `dead` never ends, so both say by themselves how a write ended. */
interface LeaseItem extends Key {
  readonly pool: string;
  readonly slots: number;
  readonly beat: number;
  readonly draining: boolean;
  readonly free: number;
  /** Absent from a lease of a build that did not tell yet. */
  readonly full?: boolean;
  readonly connected?: boolean;
  readonly dead: boolean;
  readonly dead_at?: number;
  readonly expires: number;
}

const PK = "TASKS";
/** A lease that nobody renewed for a week has been declared dead and forgotten long ago, or nobody was there to do it. */
const LEASE_KEEP_MS = 7 * 24 * 3600 * 1000;

/*
 *   task      register ── renew ── renew ── renew ── (silence) ──────────── renew: refused, the task ends
 *   lease     beat 1      2        3        4                    dead
 *   watcher                                  sees 4 … 20 s … still 4: declares, if it is 4 to this moment
 *
 * One write decides between a last renewal and a death: whichever lands first refuses the other.
 *
 *   task      renew 5 ── no answer ── renew 6 ──▶ done ── renew 7 ──▶ done
 *   network       └───────── the SDK repeats 5, or its packets were on their way all the time ──▶ refused: 5 < 7
 *
 * Without the second half of the condition such a straggler would set `beat` back, and with it what the beat says of the
 * task: that it doesn't drain, that it has room.
 */
const ALIVE_AND_EARLIER = "dead = :no AND beat < :beat";
const SILENT_SINCE_WATCHED = "beat = :watched AND dead = :no";
const NEW_OR_ALIVE_AND_NOT_LATER = "attribute_not_exists(pk) OR (dead = :no AND beat <= :beat)";

export function taskStore(table: Table): TaskStore {
  return {
    register: (lease) => register(table, lease),
    renew: (boot, state) => renew(table, boot, state),
    declareDead: (boot, beat, now) => declareDead(table, boot, beat, now),
    leases: async () => (await queryAll<LeaseItem>(table, PK)).map(toLease),
    forget: (boot) => forget(table, boot),
    report: (report) => putReport(table, report),
    reports: () => readReports(table),
  };
}

/** May be repeated. @throws StoreRefused when the boot id has been declared dead: the process needs a new one */
async function register(table: Table, lease: TaskLease): Promise<void> {
  const { boot, pool, slots, beat, draining, free, full, connected, dead } = lease;
  const item: LeaseItem = { pk: PK, sk: boot, pool, slots, beat, draining, free, full, connected, dead, expires: keepUntil(table) };
  const { written } = await putItem(table, item, { condition: NEW_OR_ALIVE_AND_NOT_LATER, values: { ":no": false, ":beat": beat } });
  if (!written && !(await isAlive(table, boot, beat))) throw new StoreRefused(`task ${boot} has been declared dead: it can't register again`);
}

/**
 * A refusal is no death: it may be an answer to a straggler, or to the SDK's repeat of a renewal that has landed. The
 * lease itself tells. So does it when no answer came at all, and only if it does not is the renewal in doubt.
 */
async function renew(table: Table, boot: string, state: TaskState): Promise<boolean> {
  const { written } = await updateItem<LeaseItem>(
    table,
    { pk: PK, sk: boot },
    {
      update: "SET beat = :beat, #free = :free, #full = :full, connected = :connected, draining = :draining, expires = :expires",
      condition: ALIVE_AND_EARLIER,
      names: { "#free": "free", "#full": "full" },
      values: {
        ":beat": state.beat,
        ":free": state.free,
        ":full": state.full,
        ":connected": state.connected,
        ":draining": state.draining,
        ":expires": keepUntil(table),
        ":no": false,
      },
    },
    (item) => item !== undefined && !item.dead && item.beat >= state.beat,
  );
  return written || isAlive(table, boot, state.beat);
}

/** Whether a write of this beat was refused only because it, or a later one, has landed already. */
async function isAlive(table: Table, boot: string, beat: number): Promise<boolean> {
  const item = await readItem<LeaseItem>(table, { pk: PK, sk: boot });
  return item !== undefined && !item.dead && item.beat >= beat;
}

/** A task without a lease counts as dead: leases are removed only once they hold nothing. */
async function declareDead(table: Table, boot: string, beat: number, now: number): Promise<boolean> {
  const key = { pk: PK, sk: boot };
  const { written } = await updateItem(table, key, {
    update: "SET dead = :yes, dead_at = :now",
    condition: SILENT_SINCE_WATCHED,
    values: { ":yes": true, ":no": false, ":now": now, ":watched": beat },
  });
  if (written) return true;
  const item = await readItem<LeaseItem>(table, key);
  return item === undefined || item.dead;
}

/** The report first: a crash in between leaves the lease, and whoever finds it forgets it again. */
async function forget(table: Table, boot: string): Promise<void> {
  await forgetReport(table, boot);
  await deleteItem(table, { pk: PK, sk: boot });
}

function keepUntil({ clock }: Table): number {
  return expiresAt(clock.now() + LEASE_KEEP_MS);
}

function toLease({ sk, pool, slots, beat, draining, free, full = false, connected = true, dead, dead_at }: LeaseItem): TaskLease {
  return { boot: sk, pool, slots, beat, draining, free, full, connected, dead, ...(dead_at === undefined ? {} : { deadAt: dead_at }) };
}
