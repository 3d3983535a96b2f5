import { z } from "zod";
import { defineJob } from "../core/job/define-job.ts";

/** Fails at once, with the message it is given: to see how a failure looks to operators. */
export const fail = defineJob({
  name: "fail",
  args: z.object({ message: z.string().default("as asked") }),
  perform({ message }) {
    throw new Error(message);
  },
});
