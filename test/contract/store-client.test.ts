import { GetCommand } from "@aws-sdk/lib-dynamodb";
import { expect, it } from "vitest";
import { openDocument } from "../../store/client.ts";
import { useDynalite } from "./suites/dynalite.ts";

const { open } = useDynalite();

/** A busy machine's worth. */
const BLOCKED_MS = 1_200;

it("a process that is blocked while it connects does not take DynamoDB for away", async () => {
  const { endpoint, table } = await open();
  const document = openDocument({ endpoint });
  document.middlewareStack.add(
    (next) => async (args) => {
      const answer = next(args);
      // Far enough for the request to be on its way, and no turn of the event loop.
      for (let i = 0; i < 100; i++) await null;
      const end = performance.now() + BLOCKED_MS;
      while (performance.now() < end);
      return answer;
    },
    { step: "deserialize", priority: "low" },
  );
  const { $metadata } = await document.send(new GetCommand({ TableName: table, Key: { pk: "a", sk: "b" } }));
  expect($metadata.attempts).toBe(1);
  document.destroy();
});
