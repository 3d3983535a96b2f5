import { appendFile } from "node:fs/promises";
import { defineJob } from "roger-serverless";
import { z } from "zod";

/** The same without types. */
export const greet = defineJob({
  name: "greet",
  args: z.object({ to: z.string(), ledger: z.string() }),
  perform: ({ to, ledger }) => appendFile(ledger, `greet ${to} in plain JavaScript\n`),
});
