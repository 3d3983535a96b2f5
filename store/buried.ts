import { LIMITS } from "../core/contract/limits.ts";
import type { BuriedJob, BuriedStore } from "../core/job/buried.ts";
import { enqueuedAtIn } from "../core/job/life.ts";
import { decodeCursor, encodeCursor } from "./cursor.ts";
import { atRev, deleteItem, expiresAt, isExpired, type Key, newRev, putItem, queryPage, readItem, type Table } from "./items.ts";

interface BuriedItem extends Key, Pick<BuriedJob, "name" | "queue" | "attempt" | "reason" | "error" | "history" | "body" | "rev"> {
  /** Not of what is no job, nor in an item of an older build. */
  readonly enqueued_at?: number;
  readonly buried_at: number;
  readonly expires: number;
}

const PREFIX = "BURIED#";
const CURSOR = "buried";

/*
 *   worker    bury: life 1 ──────────────── bury: life 2
 *   a copy          bury: life 1, the same      bury: life 1: refused, the later one is kept for its person
 */
const NOT_LATER =
  "attribute_not_exists(pk) OR enqueued_at < :life OR (attribute_not_exists(enqueued_at) OR enqueued_at = :life) AND attempt <= :attempt";

export function buriedStore(table: Table): BuriedStore {
  return {
    bury: (job) => bury(table, job),
    remove: (partition, id, rev) => deleteItem(table, keyOf(partition, id), atRev(rev)),
    get: (partition, id) => get(table, partition, id),
    list: (partition, page) => list(table, partition, page),
  };
}

/** A redelivery that buries the job again tells the same. @throws StoreRefused when it does not fit 400 KB */
async function bury(table: Table, job: Omit<BuriedJob, "rev">): Promise<void> {
  const { partition, id, name, queue, attempt, enqueuedAt, reason, buriedAt, error, history, body } = job;
  const expires = expiresAt(buriedAt + LIMITS.buriedKeepMs);
  const item: BuriedItem = {
    ...keyOf(partition, id),
    name,
    queue,
    attempt,
    ...(enqueuedAt === undefined ? {} : { enqueued_at: enqueuedAt }),
    reason,
    buried_at: buriedAt,
    error,
    history,
    body,
    rev: newRev(),
    expires,
  };
  const expected = { condition: NOT_LATER, values: { ":life": enqueuedAt ?? 0, ":attempt": attempt } };
  await putItem(table, item, expected, (found) => found?.rev === item.rev);
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

function toJob({ pk, sk, name, queue, attempt, enqueued_at, reason, buried_at, error, history, body, rev }: BuriedItem): BuriedJob {
  const enqueuedAt = enqueued_at ?? enqueuedAtIn(body);
  const life = enqueuedAt === undefined ? {} : { enqueuedAt };
  return { partition: pk.slice(PREFIX.length), id: sk, name, queue, attempt, ...life, reason, buriedAt: buried_at, error, history, body, rev };
}
