import type { NewJobKey } from "../core/job/enqueue.ts";
import type { NewParkedJob } from "../core/job/parked.ts";
import { newRev } from "./items.ts";
import { parkedItem } from "./parked.ts";
import { claimedItem, NOTHING_REMEMBERED } from "./queue-keys.ts";

/** A put as TransactWriteItems and PutItem take it, in the plain values of the SDK's document client. */
export interface JobPut {
  readonly TableName: string;
  readonly Item: Readonly<Record<string, unknown>>;
  readonly ConditionExpression?: string;
  readonly ExpressionAttributeNames?: Readonly<Record<string, string>>;
  readonly ExpressionAttributeValues?: Readonly<Record<string, unknown>>;
}

/*
 *   application   transaction: its own items and this one ── all or nothing
 *   pump          due ≤ now ─▶ a parked job: published │ a key with the job inside: parked, then published
 *
 * A key is its own outbox (queue-keys.ts), so a job with a key is one item, too: its condition is what makes it unique.
 * Nothing repeats a claim's put after the key has moved on: DynamoDB knows a transaction that it is sent twice.
 */
const FREE_TO_ANY_JOB = "attribute_not_exists(pk) OR #until <= :now OR #state = :done";

/** The one item that stands for a job that nobody has accepted yet. */
export function jobPut(table: string, job: NewParkedJob, key: NewJobKey | undefined): JobPut {
  if (key === undefined) return { TableName: table, Item: { ...parkedItem(job, newRev()) } };
  const { ref, takeDone } = key;
  return {
    TableName: table,
    Item: { ...claimedItem(ref, { outbox: job, due: job.since }, newRev()) },
    // A caller's own id stays taken while its end is remembered.
    ConditionExpression: takeDone ? FREE_TO_ANY_JOB : NOTHING_REMEMBERED,
    ExpressionAttributeNames: { "#until": "until", ...(takeDone ? { "#state": "state" } : {}) },
    ExpressionAttributeValues: { ":now": job.since, ...(takeDone ? { ":done": "done" } : {}) },
  };
}
