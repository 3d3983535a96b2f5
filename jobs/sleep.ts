import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { defineJob } from "../core/job/define-job.ts";

/** Waits, and stops waiting when it is asked to: to see pausing, draining and scaling at work. */
export const sleep = defineJob({
  name: "sleep",
  args: z.object({ seconds: z.number().min(0).max(3600) }),
  async perform({ seconds }, ctx) {
    const steps = Math.max(1, Math.ceil(seconds * 4));
    for (let step = 0; step < steps; step++) {
      await setTimeout((seconds * 1000) / steps, undefined, { signal: ctx.signal });
      ctx.progress((step + 1) / steps);
    }
  },
});
