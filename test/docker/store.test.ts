import { afterAll, inject } from "vitest";
import { storeSuites } from "../contract/suites/store.ts";
import { Tables } from "../contract/suites/table.ts";
import { describeUnless } from "./describe-unless.ts";

describeUnless(inject("missing").dynamoDb, "the store on an emulated DynamoDB", () => {
  const tables = new Tables(inject("awsEndpoint"));
  afterAll(async () => {
    await tables.remove();
    tables.close();
  }, 120_000);
  storeSuites(() => tables.open());
});
