import { setTimeout as sleep } from "node:timers/promises";
import { CreateTableCommand, DescribeTableCommand, ResourceInUseException } from "@aws-sdk/client-dynamodb";
import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { DUE_INDEX, TABLE } from "../core/contract/table.ts";
import { StoreUnavailable, translate } from "./errors.ts";

const FIELD_TYPES = { string: "S", number: "N" } as const;
const POLLS = 600;
const POLL_MS = 50;

/**
 * Creates the table in an emulator and resolves once it is ACTIVE; one that exists is left as it is. TTL is not
 * switched on: emulators lack it, and no rule rests on it.
 * @throws StoreUnavailable when it is not ACTIVE within about 30 s
 */
export async function createTable(document: DynamoDBDocumentClient, name: string): Promise<void> {
  try {
    await document.send(
      new CreateTableCommand({
        TableName: name,
        BillingMode: "PAY_PER_REQUEST",
        AttributeDefinitions: Object.entries(TABLE.fields).map(([field, type]) => ({ AttributeName: field, AttributeType: FIELD_TYPES[type] })),
        KeySchema: keySchema(TABLE.key),
        GlobalSecondaryIndexes: [
          { IndexName: DUE_INDEX, KeySchema: keySchema(TABLE.indexes[DUE_INDEX]), Projection: { ProjectionType: "KEYS_ONLY" } },
        ],
      }),
    );
  } catch (error) {
    // It exists, or another process creates it right now: wait for it all the same.
    if (!(error instanceof ResourceInUseException)) throw translate(error);
  }
  await untilActive(document, name);
}

async function untilActive(document: DynamoDBDocumentClient, name: string): Promise<void> {
  for (let poll = 0; poll < POLLS; poll++) {
    if ((await describe(document, name)) === "ACTIVE") return;
    await sleep(POLL_MS);
  }
  throw new StoreUnavailable(`table ${name} is not ACTIVE after ${(POLLS * POLL_MS) / 1000} s`);
}

async function describe(document: DynamoDBDocumentClient, name: string): Promise<string | undefined> {
  try {
    return (await document.send(new DescribeTableCommand({ TableName: name }))).Table?.TableStatus;
  } catch (error) {
    throw translate(error);
  }
}

function keySchema({ hash, range }: { readonly hash: string; readonly range: string }) {
  return [
    { AttributeName: hash, KeyType: "HASH" as const },
    { AttributeName: range, KeyType: "RANGE" as const },
  ];
}
