import { randomUUID } from "node:crypto";
import { DeleteTableCommand } from "@aws-sdk/client-dynamodb";
import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import { openDocument } from "../../../store/client.ts";
import { openStore, type Store } from "../../../store/store.ts";
import { createTable } from "../../../store/table.ts";
import { type TestClock, testClock } from "./world.ts";

/** A table that nobody else uses, and a store on it with a clock of its own. */
export interface TableWorld {
  readonly endpoint: string;
  readonly document: DynamoDBDocumentClient;
  readonly table: string;
  readonly clock: TestClock;
  readonly store: Store;
}

/** Tables of one DynamoDB, as many as are asked for; whoever opened them closes all. */
export class Tables {
  readonly #endpoint: string;
  readonly #opened: TableWorld[] = [];

  /** @param endpoint a URL of DynamoDB or of something that speaks like it */
  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  async open(): Promise<TableWorld> {
    const endpoint = this.#endpoint;
    const document = openDocument({ endpoint });
    const table = `roger-${randomUUID()}`;
    const clock = testClock();
    const world = { endpoint, document, table, clock, store: openStore({ document, table, clock }) };
    this.#opened.push(world);
    await createTable(document, table);
    return world;
  }

  /** Deletes the tables: for a DynamoDB that lives on. */
  async remove(): Promise<void> {
    for (const { document, table } of this.#opened) await document.send(new DeleteTableCommand({ TableName: table }));
  }

  close(): void {
    for (const { document } of this.#opened) document.destroy();
  }
}
