import { randomBytes } from "node:crypto";
import { ConditionalCheckFailedException } from "@aws-sdk/client-dynamodb";
import { DeleteCommand, type DynamoDBDocumentClient, GetCommand, PutCommand, QueryCommand, UpdateCommand } from "@aws-sdk/lib-dynamodb";
import type { Clock } from "../core/contract/clock.ts";
import { isPassing, StoreRefused, translate } from "./errors.ts";

/** The table as every file of this room is handed it. */
export interface Table {
  readonly document: DynamoDBDocumentClient;
  readonly name: string;
  readonly clock: Clock;
}

export interface Key {
  readonly pk: string;
  readonly sk: string;
}

/** A condition or update with its aliases (`#name`: reserved words and names from data) and values. */
export interface Expression {
  readonly condition?: string;
  readonly names?: Readonly<Record<string, string>>;
  readonly values?: Readonly<Record<string, unknown>>;
}

/** How a write ended: `item` is as it is afterwards. Not written: its condition did not hold. */
export type Written<T> = { readonly written: true; readonly item: T } | { readonly written: false };

/** Tells one's own write by the item as it is now. */
export type IsOurs<T> = (item: T | undefined) => boolean;

/** A value that no other write has: it tells this write from all others when its reply is lost. */
export function newRev(): string {
  return randomBytes(9).toString("base64url");
}

/** Epoch ms as the TTL attribute wants it: whole seconds, never early. */
export function expiresAt(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** n.b. DynamoDB removes expired items hours late: every reader of an item with `expires` asks here. */
export function isExpired(item: { readonly expires?: number }, now: number): boolean {
  return item.expires !== undefined && item.expires * 1000 <= now;
}

/** Strongly consistent. @throws StoreUnavailable, StoreRefused, as all of this file */
export async function readItem<T extends Key>({ document, name }: Table, { pk, sk }: Key): Promise<T | undefined> {
  try {
    const { Item } = await document.send(new GetCommand({ TableName: name, Key: { pk, sk }, ConsistentRead: true }));
    return Item as T | undefined;
  } catch (error) {
    throw translate(error);
  }
}

export async function putItem<T extends Key>(
  table: Table,
  item: T,
  { condition, names, values }: Expression,
  isOurs?: IsOurs<T>,
): Promise<Written<T>> {
  const command = new PutCommand({
    TableName: table.name,
    Item: item,
    ConditionExpression: condition,
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  });
  return settle(table, item, isOurs, async () => {
    await table.document.send(command);
    return item;
  });
}

export async function updateItem<T extends Key>(
  table: Table,
  { pk, sk }: Key,
  { update, condition, names, values }: Expression & { readonly update: string },
  isOurs?: IsOurs<T>,
): Promise<Written<T>> {
  const command = new UpdateCommand({
    TableName: table.name,
    Key: { pk, sk },
    UpdateExpression: update,
    ConditionExpression: condition,
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
    ReturnValues: "ALL_NEW",
  });
  return settle(table, { pk, sk }, isOurs, async () => (await table.document.send(command)).Attributes as T);
}

/** For a delete or a change of nothing but what was read. */
export function atRev(rev: string): Required<Pick<Expression, "condition" | "values">> {
  return { condition: "rev = :read", values: { ":read": rev } };
}

/**
 * Deletes an item, with a condition only as it holds. When the reply was lost and the item is gone, the delete counts
 * as ours: whoever else may have removed it had found the same condition and wanted the same end.
 * @returns `false` when the condition does not hold, or it was gone before
 */
export async function deleteItem(table: Table, { pk, sk }: Key, { condition, names, values }: Expression = {}): Promise<boolean> {
  const command = new DeleteCommand({
    TableName: table.name,
    Key: { pk, sk },
    ConditionExpression: condition,
    ExpressionAttributeNames: names,
    ExpressionAttributeValues: values,
  });
  const { written } = await settle<Key | undefined>(
    table,
    { pk, sk },
    (item) => item === undefined,
    async () => {
      await table.document.send(command);
      return undefined;
    },
  );
  return written;
}

/**
 * Sends one write and finds out what became of it. The SDK repeats a request whose reply was lost, so a refusal may
 * be our own earlier success:
 * ```
 *   send ──▶ done ──────────────────────────────────────────▶ written
 *     │
 *     ├────▶ condition failed, first try ───────────────────▶ not written
 *     ├────▶ condition failed, repeated ──▶ read: is it ours? ─▶ written | not written
 *     └────▶ no answer ───────────────────▶ read: is it ours? ─▶ written | StoreUnavailable (it may yet arrive)
 * ```
 * Without `isOurs` nothing is read: such a write may be repeated without harm, and its caller knows what a refusal means.
 */
async function settle<T extends Key | undefined>(table: Table, key: Key, isOurs: IsOurs<T> | undefined, send: () => Promise<T>): Promise<Written<T>> {
  try {
    return { written: true, item: await send() };
  } catch (error) {
    const refused = error instanceof ConditionalCheckFailedException;
    if (!refused && !isPassing(error)) throw translate(error);
    const inDoubt = !refused || (error.$metadata.attempts ?? 1) > 1;
    if (inDoubt && isOurs !== undefined) {
      const item = (await readItem(table, key)) as T | undefined;
      if (isOurs(item)) return { written: true, item: item as T };
    }
    if (!refused) throw translate(error);
    return { written: false };
  }
}

export interface Query extends Expression {
  /** The key condition. */
  readonly where: string;
  readonly index?: string;
  /** The attributes wanted. @default all that the index holds */
  readonly fields?: string;
  readonly limit?: number;
  readonly after?: Key;
  /** The last ones first. @default false */
  readonly backwards?: boolean;
  /** @default true; must be false with an index */
  readonly consistent?: boolean;
}

/** One page: at most `limit` items, at most 1 MB. `last` is there when more may follow. */
export async function queryPage<T extends Key>({ document, name }: Table, query: Query): Promise<{ items: T[]; last?: Key }> {
  const command = new QueryCommand({
    TableName: name,
    IndexName: query.index,
    ProjectionExpression: query.fields,
    KeyConditionExpression: query.where,
    ExpressionAttributeNames: query.names,
    ExpressionAttributeValues: query.values,
    Limit: query.limit,
    ExclusiveStartKey: query.after,
    ScanIndexForward: query.backwards !== true,
    ConsistentRead: query.consistent ?? true,
  });
  try {
    const { Items = [], LastEvaluatedKey } = await document.send(command);
    return { items: Items as T[], ...(LastEvaluatedKey === undefined ? {} : { last: LastEvaluatedKey as Key }) };
  } catch (error) {
    throw translate(error);
  }
}

/** 1 GB of items: beyond it something else is wrong. */
const MAX_PAGES = 1_000;

/** Every item of one `pk`. */
export async function queryAll<T extends Key>(table: Table, pk: string, consistent = true): Promise<T[]> {
  const all: T[] = [];
  let after: Key | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const { items, last } = await queryPage<T>(table, {
      where: "pk = :pk",
      values: { ":pk": pk },
      consistent,
      ...(after === undefined ? {} : { after }),
    });
    all.push(...items);
    if (last === undefined) return all;
    after = last;
  }
  throw new StoreRefused(`more than ${MAX_PAGES} pages under ${pk}`);
}
