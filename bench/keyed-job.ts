import { appendFileSync } from "node:fs";
import { z } from "zod";
import { defineJob } from "../core/job/define-job.ts";

/** A job of an execution key that notes its number in a file that all tasks share. */
export const keyed = defineJob({
  name: "keyed",
  args: z.object({ key: z.string(), log: z.string(), number: z.number() }),
  executionKey: ({ key }) => key,
  perform: ({ log, number }) => appendFileSync(log, `${number}\n`),
});
