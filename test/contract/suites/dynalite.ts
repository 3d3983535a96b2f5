import { afterAll, beforeAll } from "vitest";
import { type Dynamo, startDynamo } from "../../../local/dynamodb.ts";
import { Tables, type TableWorld } from "./table.ts";

/** One DynamoDB for the whole test file; `open` gives each test a table and a client of its own. */
export function useDynalite(): { readonly open: () => Promise<TableWorld> } {
  let dynamo: Dynamo | undefined;
  let tables: Tables | undefined;
  beforeAll(async () => {
    dynamo = await startDynamo();
    tables = new Tables(dynamo.endpoint);
  });
  afterAll(async () => {
    tables?.close();
    await dynamo?.stop();
  });

  async function open(): Promise<TableWorld> {
    if (tables === undefined) throw new Error("no DynamoDB outside of a test");
    return await tables.open();
  }
  return { open };
}
