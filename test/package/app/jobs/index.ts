import { appendFile } from "node:fs/promises";
import { threadId } from "node:worker_threads";
import { Discard, defineJob, type JobContext, RetryAfter } from "roger-serverless";
import { z } from "zod";

const Args = z.object({ to: z.string(), ledger: z.string() });

async function note({ to, ledger }: z.infer<typeof Args>, ctx: JobContext): Promise<void> {
  if (to === "") throw new Discard("nobody to greet");
  if (ctx.attempt > 3) throw new RetryAfter(60);
  ctx.log.info("greeted", { to });
  await appendFile(ledger, `${ctx.job.name} ${to} ${threadId === 0 ? "in the process" : "in a thread"}\n`);
}

export const greet = defineJob({ name: "greet", args: Args, executionKey: ({ to }) => to, retry: true, perform: note });

export const greetInThread = defineJob({ name: "greet-in-thread", args: Args, isolation: "thread", perform: note });
