import { BatchWriteCommand, GetCommand, PutCommand, TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Client } from "../../client/client.ts";
import { type TransactJob, transactJob } from "../../client/transact-item.ts";
import { LIMITS } from "../../core/contract/limits.ts";
import { DUE_SHARDS } from "../../core/job/due-shard.ts";
import { deliverOutbox } from "../../core/job/enqueue.ts";
import { newJob } from "../../core/job/new-job.ts";
import { keyHash } from "../../core/keys/key-hash.ts";
import { bill, ClientWorld, greet } from "../client-world.ts";
import { ownerOf } from "../key-owner.ts";
import { useDynalite } from "./suites/dynalite.ts";

const { open } = useDynalite();
let world: ClientWorld;
let client: Client;
let partition: string;
beforeEach(async () => {
  world = new ClientWorld(await open());
  ({ partition } = world);
  await world.start("default");
  client = world.offline();
});
afterEach(() => world.close());

/** What DynamoDB does with one item of a transaction: the emulator knows no transactions. */
const put = ({ item }: Pick<TransactJob, "item">) => world.document.send(new PutCommand(item.Put));
const REFUSED = { name: "ConditionalCheckFailedException" };

async function raw(pk: string, sk: string): Promise<Record<string, unknown>> {
  const { Item } = await world.document.send(new GetCommand({ TableName: world.table, Key: { pk, sk }, ConsistentRead: true }));
  return { ...Item, rev: "any", ...(Item?.claim_rev === undefined ? {} : { claim_rev: "any" }) };
}

describe("a job as an item of the application's own transaction", () => {
  it("without a key is the very item that is parked", async () => {
    const { jobId, item } = await client.toTransactItem(greet, { to: "x" }, { partition, delay: 60 });
    expect(Object.keys(item.Put).sort()).toEqual(["Item", "TableName"]);
    await put({ item });
    const parked = await world.store.parked.get({ partition, id: jobId });
    expect(parked).toMatchObject({ reason: "delayed", attempt: 1, claimed: false });
    const byTransaction = await raw(`PARKED#${partition}`, jobId);
    if (parked === undefined) throw new Error("not parked");
    const { rev: _, claimed: __, ...job } = parked;
    await world.store.parked.park(job);
    expect(await raw(`PARKED#${partition}`, jobId)).toEqual(byTransaction);
    expect(await client.get(partition, jobId)).toMatchObject({ state: "parked" });
  });

  it("with a key is the very item that a claim writes", async () => {
    const now = Date.now();
    const { job, key } = await newJob(bill, { invoice: "1" }, { partition }, now);
    if (key === undefined) throw new Error("no key");
    await put(transactJob(world.table, { job, key, traceparent: undefined }));
    const byTransaction = await raw(`KEY#${partition}`, keyHash("invoice:1"));
    const other = { ...key.ref, key: "invoice:2" };
    await world.store.queueKeys.claim(other, { outbox: job, due: now, now, takeDone: true });
    const sk = keyHash(other.key);
    const claimed = await raw(`KEY#${partition}`, sk);
    expect({ ...claimed, sk: "", due_pk: "" }).toEqual({ ...byTransaction, sk: "", due_pk: "" });
    // Where the due index keeps it follows from the name.
    expect(byTransaction.due_pk).toMatch(/^DUE#\d+$/);
  });

  it("with a key is refused while another job has it, and not once that is done", async () => {
    const { jobId } = await client.enqueue(bill, { invoice: "1" }, { partition });
    const job = await client.toTransactItem(bill, { invoice: "1" }, { partition });
    await expect(put(job)).rejects.toMatchObject(REFUSED);
    const ref = { partition, key: "invoice:1" };
    const me = { ...(await ownerOf(world.store.queueKeys, ref)), run: "t/1", task: "t" };
    expect(me.job).toBe(jobId);
    await world.store.queueKeys.begin(ref, me, 1, Date.now());
    await expect(put(job)).rejects.toMatchObject(REFUSED);
    await world.store.queueKeys.finish(ref, "t/1", Date.now() + LIMITS.doneKeyMs);
    await put(job);
    expect(await world.store.queueKeys.get(ref)).toMatchObject({ jobId: job.jobId, state: "publishing", attempt: 1 });
    await expect(client.enqueue(bill, { invoice: "1" }, { partition })).rejects.toMatchObject({ existingJobId: job.jobId });
  });

  it("with an id of the caller's is taken once while it is remembered", async () => {
    const make = () => client.toTransactItem(greet, { to: "x" }, { partition, id: "order-7" });
    await put(await make());
    await expect(put(await make())).rejects.toMatchObject(REFUSED);
    const ref = { partition, key: "id:order-7" };
    await world.store.queueKeys.begin(ref, { ...(await ownerOf(world.store.queueKeys, ref)), run: "t/1", task: "t" }, 1, Date.now());
    const lapsed = Date.now();
    await world.store.queueKeys.finish(ref, "t/1", Date.now() + LIMITS.doneKeyMs);
    await expect(put(await make())).rejects.toMatchObject(REFUSED);
    await world.store.queueKeys.begin({ partition, key: "id:order-8" }, { job: "order-8", enqueuedAt: 1, run: "t/2", task: "t" }, 1, Date.now());
    await world.store.queueKeys.finish({ partition, key: "id:order-8" }, "t/2", lapsed);
    await put(await client.toTransactItem(greet, { to: "x" }, { partition, id: "order-8" }));
    // Barred to late copies of a forgotten life: not to who enqueues the id anew.
    const stale = { attempt: 1, now: Date.now(), until: Date.now() + LIMITS.doneKeyMs };
    await world.store.queueKeys.bar({ partition, key: "id:order-9" }, { job: "order-9", enqueuedAt: 1 }, stale);
    await put(await client.toTransactItem(greet, { to: "x" }, { partition, id: "order-9" }));
  });

  it("with a key is due at once, and the pump parks it as it is to be", async () => {
    const { jobId, item } = await client.toTransactItem(bill, { invoice: "1" }, { partition, delay: 600 });
    await put({ item });
    const { parked, queueKeys } = world.store;
    const now = Date.now();
    const due = (await Promise.all(DUE_SHARDS.map((shard) => parked.due(shard, now, 10)))).flat();
    expect(due).toMatchObject([{ kind: "queue_key", ref: { partition, hash: keyHash("invoice:1") } }]);
    if (due[0]?.kind !== "queue_key") throw new Error("no key is due");
    expect(await deliverOutbox({ queueKeys, parked }, due[0].ref, now, now + 30_000)).toBe(true);
    expect(await parked.get({ partition, id: jobId })).toMatchObject({ reason: "delayed" });
    expect(await queueKeys.get({ partition, key: "invoice:1" })).toMatchObject({ jobId, state: "queued", attempt: 1 });
  });

  it("is what TransactWriteItems takes", async () => {
    const jobs = await Promise.all([
      client.toTransactItem(bill, { invoice: "1" }, { partition }),
      client.toTransactItem(greet, { to: "x" }, { partition }),
    ]);
    const sent: Record<string, unknown>[] = [];
    world.document.middlewareStack.add(
      () => async (args) => {
        sent.push(JSON.parse(new TextDecoder().decode((args.request as { body: Uint8Array }).body)));
        return { response: {}, output: { $metadata: {} } };
      },
      { step: "finalizeRequest", name: "noteBody", priority: "low" },
    );
    await world.document.send(new TransactWriteCommand({ TransactItems: jobs.map(({ item }) => item) }));
    const [key, plain] = (sent[0] as { TransactItems: { Put: Record<string, unknown> }[] }).TransactItems.map(({ Put }) => Put);
    expect(key).toMatchObject({
      TableName: world.table,
      Item: { pk: { S: `KEY#${partition}` }, job_id: { S: jobs[0]?.jobId }, outbox: { M: { reason: { S: "outbox" }, attempt: { N: "1" } } } },
      ConditionExpression: expect.stringContaining("attribute_not_exists"),
      ExpressionAttributeValues: { ":done": { S: "done" } },
    });
    expect(plain).toMatchObject({ TableName: world.table, Item: { pk: { S: `PARKED#${partition}` }, sk: { S: jobs[1]?.jobId } } });
  });

  it("is made for a queue that there is", async () => {
    await expect(client.toTransactItem(greet, { to: "x" }, { partition: "nobody" })).rejects.toMatchObject({ code: "unknown_partition" });
    await expect(client.toTransactItem(greet, { to: 1 } as never, { partition })).rejects.toMatchObject({ field: "args.to" });
  });
});

describe("a job as a request of a batch", () => {
  it("is written with the others", async () => {
    const jobs = await Promise.all(Array.from({ length: 3 }, (_, i) => client.toBatchItem(greet, { to: `n${i}` }, { partition })));
    await world.document.send(new BatchWriteCommand({ RequestItems: { [world.table]: jobs.map(({ request }) => request) } }));
    const { jobs: parked } = await world.store.parked.list(partition, { limit: 10 });
    expect(parked.map(({ id }) => id).sort()).toEqual(jobs.map(({ jobId }) => jobId).sort());
  });

  it("has no key: a batch knows no conditions", async () => {
    await expect(client.toBatchItem(bill, { invoice: "1" }, { partition })).rejects.toMatchObject({ code: "invalid_request", field: "args" });
    await expect(client.toBatchItem(greet, { to: "x" }, { partition, id: "a" })).rejects.toMatchObject({ field: "id" });
  });
});
