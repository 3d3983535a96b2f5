import { Discard, defineJob, RetryAfter } from "roger-serverless";
import { z } from "zod";

/**
 * Sends an invoice by mail. The queue key: however often somebody clicks, one mail is on its way. The levels: a mailer that is
 * down is asked again after a second, then 5, 30 and 300.
 */
export const sendInvoice = defineJob({
  name: "send-invoice",
  args: z.object({ invoice: z.string(), to: z.email() }),
  queue: "mail",
  queueKey: ({ invoice }) => `invoice:${invoice}`,
  retry: { levels: [1, 5, 30, 300], jitter: 0.1 },
  maxExecutionTime: 30,
  // People who look at jobs need not see addresses.
  redact: true,
  async perform({ invoice, to }, ctx) {
    // Read here and not above: the API's functions import this module, too, and have another environment.
    const url = process.env.MAILER_URL ?? "http://127.0.0.1:8025/send";
    const response = await fetch(url, {
      method: "POST",
      body: JSON.stringify({ invoice, to }),
      // The mailer knows by it that it has seen this mail: a job may run twice.
      headers: { "content-type": "application/json", "idempotency-key": ctx.job.id },
      signal: ctx.signal,
    });
    if (response.status === 422) throw new Discard(`${invoice} can't be sent to anybody by that address`);
    if (response.status === 429) throw new RetryAfter(Number(response.headers.get("retry-after") ?? 60));
    if (!response.ok) throw new Error(`the mailer answered ${response.status}`);
    ctx.log.info("sent", { invoice });
  },
});
