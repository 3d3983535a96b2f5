import type { TaskLease, TaskStore } from "../core/partition/task-store.ts";
import { StoreRefused } from "./errors.ts";
import { deleteItem, expiresAt, type Key, putItem, queryAll, readItem, type Table, updateItem } from "./items.ts";
import { forgetReport, putReport, readReports } from "./task-reports.ts";

/** A lease, at most 200 bytes. It needs no `rev`: each of its writes may be repeated, and `dead` says by itself how they ended. */
interface LeaseItem extends Key {
  readonly pool: string;
  readonly slots: number;
  readonly beat: number;
  readonly draining: boolean;
  readonly free: number;
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
 */
const NOT_DECLARED_DEAD = "dead = :no";
const SILENT_SINCE_WATCHED = "beat = :watched AND dead = :no";
const NEW_OR_ALIVE = "attribute_not_exists(pk) OR dead = :no";

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
  const { boot, pool, slots, beat, draining, free, dead } = lease;
  const item: LeaseItem = { pk: PK, sk: boot, pool, slots, beat, draining, free, dead, expires: keepUntil(table) };
  const { written } = await putItem(table, item, { condition: NEW_OR_ALIVE, values: { ":no": false } });
  if (!written) throw new StoreRefused(`task ${boot} has been declared dead: it can't register again`);
}

async function renew(table: Table, boot: string, state: Parameters<TaskStore["renew"]>[1]): Promise<boolean> {
  const { written } = await updateItem(
    table,
    { pk: PK, sk: boot },
    {
      update: "SET beat = :beat, #free = :free, draining = :draining, expires = :expires",
      condition: NOT_DECLARED_DEAD,
      names: { "#free": "free" },
      values: { ":beat": state.beat, ":free": state.free, ":draining": state.draining, ":expires": keepUntil(table), ":no": false },
    },
  );
  return written;
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

function toLease({ sk, pool, slots, beat, draining, free, dead, dead_at }: LeaseItem): TaskLease {
  return { boot: sk, pool, slots, beat, draining, free, dead, ...(dead_at === undefined ? {} : { deadAt: dead_at }) };
}
