import { defineJob } from "roger-serverless";
import { z } from "zod";
import { openTable } from "../api/table.ts";

/**
 * Books a payment. The execution key: payments of one customer are booked one after the other, those of others meanwhile.
 * `true`: Roger's own levels, from a second to half an hour.
 */
export const bookPayment = defineJob({
  name: "book-payment",
  args: z.object({ payment: z.string(), invoice: z.string(), customer: z.string(), cents: z.int().positive() }),
  executionKey: ({ customer }) => customer,
  retry: true,
  async perform({ payment, invoice, cents }, ctx) {
    // The payment's id makes it safe to repeat.
    const first = await openTable().book({ payment, invoice, cents });
    ctx.log.info(first ? "booked" : "was booked before", { payment });
  },
});
