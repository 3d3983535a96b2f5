import { QueryCommand, TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import type { TransactJob } from "../../client/transact-item.ts";
import { bill, ClientWorld, greet } from "../client-world.ts";
import { Tables } from "../contract/suites/table.ts";
import { describeUnless } from "./describe-unless.ts";

/** The embedded DynamoDB knows no transactions: what it can show of them is in test/contract. */
describeUnless(inject("missing").transactions, "a job in a transaction of the application's", () => {
  let tables: Tables;
  let world: ClientWorld;
  beforeAll(async () => {
    tables = new Tables(inject("awsEndpoint"));
    world = new ClientWorld(await tables.open());
    await world.start("default");
  }, 120_000);
  afterAll(async () => {
    await world.close();
    await tables.remove();
    tables.close();
  }, 120_000);

  /** Writes the application's own item and the job, or neither. */
  const write = (order: string, { item }: TransactJob) =>
    world.document.send(new TransactWriteCommand({ TransactItems: [{ Put: { TableName: world.table, Item: { pk: "ORDERS", sk: order } } }, item] }));
  const orders = async () => {
    const { Items = [] } = await world.document.send(
      new QueryCommand({
        TableName: world.table,
        ConsistentRead: true,
        KeyConditionExpression: "pk = :orders",
        ExpressionAttributeValues: { ":orders": "ORDERS" },
      }),
    );
    return Items.map(({ sk }) => sk);
  };
  const REFUSED = { name: "TransactionCanceledException", CancellationReasons: [{ Code: "None" }, { Code: "ConditionalCheckFailed" }] };

  it("is written with the application's data", async () => {
    const client = world.offline();
    const { partition } = world;
    const plain = await client.toTransactItem(greet, { to: "x" }, { partition, delay: 60 });
    await write("1", plain);
    expect(await client.get(partition, plain.jobId)).toMatchObject({ state: "parked" });
    expect(await orders()).toEqual(["1"]);
  });

  it("takes its key, and takes the application's data back where the key is taken", async () => {
    const client = world.offline();
    const { partition } = world;
    const first = await client.toTransactItem(bill, { invoice: "1" }, { partition });
    await write("2", first);
    await expect(write("3", await client.toTransactItem(bill, { invoice: "1" }, { partition }))).rejects.toMatchObject(REFUSED);
    await write("4", await client.toTransactItem(bill, { invoice: "2" }, { partition }));
    expect(await orders()).toEqual(["1", "2", "4"]);
    expect(await world.store.queueKeys.get({ partition, key: "invoice:1" })).toMatchObject({ jobId: first.jobId, state: "publishing" });
  });

  it("has an id of the caller's once", async () => {
    const client = world.offline();
    const make = () => client.toTransactItem(greet, { to: "x" }, { partition: world.partition, id: "order-5" });
    await write("5", await make());
    await expect(write("6", await make())).rejects.toMatchObject(REFUSED);
    expect(await orders()).toEqual(["1", "2", "4", "5"]);
  });
});
