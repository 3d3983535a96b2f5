import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateTableCommand, DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { describe, expect, it, onTestFinished } from "vitest";
import { type DynamoOptions, startDynamo } from "../../local/dynamodb.ts";

describe("startDynamo", () => {
  it("makes tables that are active at once", async () => {
    const { client } = await start();
    const { TableDescription } = await createTable(client);
    expect(TableDescription?.TableName).toBe("jobs");
    expect(await tables(client)).toEqual(["jobs"]);
  });

  it("runs beside another one, each with tables of its own", async () => {
    const [one, other] = [await start(), await start()];
    await createTable(one.client);
    expect(await tables(other.client)).toEqual([]);
  });

  it("keeps its tables in a directory, at a port of the caller's choice", async () => {
    const directory = await mkdtemp(join(tmpdir(), "roger-test-"));
    onTestFinished(() => rm(directory, { recursive: true }));
    const path = join(directory, "deep/dynamodb");
    const first = await start({ path });
    await createTable(first.client);
    await first.dynamo.stop();

    const again = await start({ path, port: Number(new URL(first.dynamo.endpoint).port) });
    expect(again.dynamo.endpoint).toBe(first.dynamo.endpoint);
    expect(await tables(again.client)).toEqual(["jobs"]);
    await again.dynamo.stop();
  });

  it("says that a port is taken", async () => {
    const { dynamo } = await start();
    await expect(startDynamo({ port: Number(new URL(dynamo.endpoint).port) })).rejects.toThrow(/EADDRINUSE/);
  });

  it("stops although a client keeps its connection open, and may be stopped twice", async () => {
    const { client, dynamo } = await start();
    expect(await tables(client)).toEqual([]);
    await dynamo.stop();
    await dynamo.stop();
    await expect(tables(client)).rejects.toThrow();
  });
});

async function start(options: DynamoOptions = {}) {
  const dynamo = await startDynamo(options);
  onTestFinished(() => dynamo.stop());
  const credentials = { accessKeyId: "local", secretAccessKey: "local" };
  const client = new DynamoDBClient({ endpoint: dynamo.endpoint, region: "local", credentials, maxAttempts: 1 });
  onTestFinished(() => client.destroy());
  return { dynamo, client };
}

function createTable(client: DynamoDBClient) {
  return client.send(
    new CreateTableCommand({
      TableName: "jobs",
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
    }),
  );
}

async function tables(client: DynamoDBClient) {
  return (await client.send(new ListTablesCommand({}))).TableNames;
}
