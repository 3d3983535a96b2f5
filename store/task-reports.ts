import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import type { TaskReport } from "../core/partition/task-store.ts";
import { deleteItem, expiresAt, isExpired, type Key, putItem, queryAll, type Table } from "./items.ts";

/**
 * A report, packed: a task that works thousands of tenants' queues has some hundred KB to tell every 15 s, of which
 * DynamoDB would charge each KB, and which may not exceed an item. Overwritten whole by its one writer: no `rev`.
 */
interface ReportItem extends Key {
  /** gzip of the report's JSON. */
  readonly report: Uint8Array;
  readonly expires: number;
}

const PK = "TASKINFO";
/** A task that has not reported for this long tells nothing about now. */
const REPORT_KEEP_MS = 10 * 60_000;

const pack = promisify(gzip);
const unpack = promisify(gunzip);

export async function putReport(table: Table, report: TaskReport): Promise<void> {
  const item: ReportItem = { pk: PK, sk: report.boot, report: await pack(JSON.stringify(report)), expires: expiresAt(report.at + REPORT_KEEP_MS) };
  await putItem(table, item, {});
}

/** Eventually consistent: reports are 15 s old anyway. */
export async function readReports(table: Table): Promise<TaskReport[]> {
  const items = await queryAll<ReportItem>(table, PK, false);
  const now = table.clock.now();
  return Promise.all(
    items.filter((item) => !isExpired(item, now)).map(async ({ report }) => JSON.parse((await unpack(report)).toString()) as TaskReport),
  );
}

export async function forgetReport(table: Table, boot: string): Promise<void> {
  await deleteItem(table, { pk: PK, sk: boot });
}
