import { type Client, connect, defineJob, type JobDefinition } from "roger-serverless";
import { handlerFor } from "roger-serverless/functions/jobs";
import { handler } from "roger-serverless/functions/partitions";
import { testRoger } from "roger-serverless/testing";
import { runWorker } from "roger-serverless/worker";
import { z } from "zod";

/** What a compiler must say of the package's types; each error that it is to find would be one if it did not. */
const job = defineJob({
  name: "bill",
  args: z.object({ invoice: z.string(), cents: z.int() }),
  queueKey: ({ invoice }) => `invoice:${invoice}`,
  // @ts-expect-error there is no such arg
  executionKey: ({ customer }) => customer,
  async perform({ cents }, ctx) {
    const even: number = cents;
    // @ts-expect-error it is a number
    const odd: string = cents;
    ctx.log.info("billed", { even, odd });
  },
});
export const known: JobDefinition = job;
// @ts-expect-error it has no perform
defineJob({ name: "nothing", args: z.object({}) });

export async function use(client: Client): Promise<string> {
  // @ts-expect-error cents are missing
  await client.enqueue(job, { invoice: "1" }, { partition: "acme" });
  const { jobId } = await client.enqueue(job, { invoice: "1", cents: 5 }, { partition: "acme" });
  return jobId;
}
// @ts-expect-error a client needs a table
connect({});

const roger = testRoger({ jobs: [job] });
roger.assertEnqueued(job, { args: { invoice: "1" } });
const { done }: { readonly done: number } = await roger.drain();
// @ts-expect-error jobs are named by their module
await runWorker({ jobs: [job] });
export const handlers: ((event: never) => Promise<{ readonly statusCode?: number | undefined } | string>)[] = [
  handler,
  handlerFor(() => import("./jobs/index.ts")),
];
export const counted: number = done;
