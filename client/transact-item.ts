import { InvalidInput } from "../core/contract/errors.ts";
import type { NewJob } from "../core/job/new-job.ts";
import { type JobPut, jobPut } from "../store/transact-puts.ts";

export interface TransactJob {
  readonly jobId: string;
  /**
   * For `TransactItems` of a TransactWriteCommand of the SDK's document client. (With the low-level client, run `Item` and
   * `ExpressionAttributeValues` through `marshall` first.) One item counts against the 100 of a transaction.
   */
  readonly item: { readonly Put: JobPut };
}

export interface BatchJob {
  readonly jobId: string;
  /** For `RequestItems` of a BatchWriteCommand of the SDK's document client, under the table's name. */
  readonly request: { readonly PutRequest: Pick<JobPut, "Item"> };
}

/**
 * A job as an item of the application's own transaction: job and data are written together or not at all. A worker's pump
 * finds it like any job in the outbox.
 *
 * A job with a key is one item with a condition. When the key is taken, DynamoDB cancels the transaction, with
 * `ConditionalCheckFailed` among its `CancellationReasons` in this item's place.
 */
export function transactJob(table: string, { job, key }: NewJob): TransactJob {
  return { jobId: job.id, item: { Put: jobPut(table, job, key) } };
}

/** @throws InvalidInput for a job with a key: a batch knows no conditions, and a taken key would be overwritten */
export function batchJob(table: string, { job, key }: NewJob): BatchJob {
  if (key !== undefined) {
    throw new InvalidInput(key.takeDone ? "args" : "id", `job ${job.name} has a key, and BatchWriteItem no conditions: use a transaction`);
  }
  const { Item } = jobPut(table, job, undefined);
  return { jobId: job.id, request: { PutRequest: { Item } } };
}
