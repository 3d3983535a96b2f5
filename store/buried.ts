import { LIMITS } from "../core/contract/limits.ts";
import type { BuriedJob, BuriedStore } from "../core/job/buried.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { atRev, deleteItem, expiresAt, isExpired, type Key, newRev, putItem, queryPage, readItem, type Table } from "./items.ts";

interface BuriedItem extends Key, Pick<BuriedJob, "name" | "queue" | "attempt" | "reason" | "error" | "history" | "body" | "rev"> {
  readonly buried_at: number;
  readonly expires: number;
}

const PREFIX = "BURIED#";
const CURSOR = "buried";

export function buriedStore(table: Table): BuriedStore {
  return {
    bury: (job) => bury(table, job),
    remove: (partition, id, rev) => deleteItem(table, keyOf(partition, id), atRev(rev)),
    get: (partition, id) => get(table, partition, id),
    list: (partition, page) => list(table, partition, page),
  };
}

/** Without a condition: a redelivery that buries the job again tells the same. @throws StoreRefused when it does not fit 400 KB */
async function bury(table: Table, job: Omit<BuriedJob, "rev">): Promise<void> {
  const { partition, id, name, queue, attempt, reason, buriedAt, error, history, body } = job;
  const expires = expiresAt(buriedAt + LIMITS.buriedKeepMs);
  const item: BuriedItem = {
    ...keyOf(partition, id),
    name,
    queue,
    attempt,
    reason,
    buried_at: buriedAt,
    error,
    history,
    body,
    rev: newRev(),
    expires,
  };
  await putItem(table, item, {}, (found) => found?.rev === item.rev);
}

async function get(table: Table, partition: string, id: string): Promise<BuriedJob | undefined> {
  const item = await readItem<BuriedItem>(table, keyOf(partition, id));
  return item !== undefined && !isExpired(item, table.clock.now()) ? toJob(item) : undefined;
}

/** A page may be shorter than asked for: it ends at 1 MB, and expired jobs are left out of it. */
async function list(table: Table, partition: string, page: Parameters<BuriedStore["list"]>[1]): ReturnType<BuriedStore["list"]> {
  const { pk } = keyOf(partition, "");
  const after = decodeCursor(CURSOR, page.cursor);
  const { items, last } = await queryPage<BuriedItem>(table, {
    where: "pk = :pk",
    values: { ":pk": pk },
    limit: page.limit,
    ...(after === undefined ? {} : { after: { pk, sk: after } }),
  });
  const now = table.clock.now();
  return { jobs: items.filter((item) => !isExpired(item, now)).map(toJob), ...(last === undefined ? {} : { cursor: encodeCursor(CURSOR, last.sk) }) };
}

function keyOf(partition: string, id: string): Key {
  return { pk: `${PREFIX}${partition}`, sk: id };
}

function toJob({ pk, sk, name, queue, attempt, reason, buried_at, error, history, body, rev }: BuriedItem): BuriedJob {
  return { partition: pk.slice(PREFIX.length), id: sk, name, queue, attempt, reason, buriedAt: buried_at, error, history, body, rev };
}
