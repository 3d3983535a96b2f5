import { randomUUID } from "node:crypto";
import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll } from "vitest";
import { type Dynamo, startDynamo } from "../../../local/dynamodb.ts";
import { openDocument } from "../../../store/client.ts";
import { openStore, type Store } from "../../../store/store.ts";
import { createTable } from "../../../store/table.ts";
import { type Make, type TestClock, testClock } from "./world.ts";

export interface DynaliteWorld {
  readonly endpoint: string;
  readonly document: DynamoDBDocumentClient;
  readonly table: string;
  readonly clock: TestClock;
  readonly store: Store;
}

/** One DynamoDB for the whole test file; `open` gives each test a table and a client of its own. */
export function useDynalite(): { readonly open: () => Promise<DynaliteWorld> } {
  let dynamo: Dynamo | undefined;
  const documents: DynamoDBDocumentClient[] = [];
  beforeAll(async () => {
    dynamo = await startDynamo();
  });
  afterAll(async () => {
    for (const document of documents) document.destroy();
    await dynamo?.stop();
  });

  async function open(): Promise<DynaliteWorld> {
    if (dynamo === undefined) throw new Error("no DynamoDB outside of a test");
    const { endpoint } = dynamo;
    const document = openDocument({ endpoint });
    documents.push(document);
    const table = `roger-${randomUUID()}`;
    await createTable(document, table);
    const clock = testClock();
    return { endpoint, document, table, clock, store: openStore({ document, table, clock }) };
  }
  return { open };
}

/** One kind of store out of a whole one, as a suite wants it. */
export function only<K extends keyof Store>(open: () => Promise<DynaliteWorld>, kind: K): Make<Store[K]> {
  return async () => {
    const { store, clock } = await open();
    return { store: store[kind], clock };
  };
}
