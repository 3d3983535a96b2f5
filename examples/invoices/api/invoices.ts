import { TransactWriteCommand } from "@aws-sdk/lib-dynamodb";
import type { APIGatewayProxyHandlerV2 } from "aws-lambda";
import type { Client } from "roger-serverless";
import { z } from "zod";
import { sendInvoice } from "../jobs/send-invoice.ts";
import { openRoger } from "./roger.ts";
import { type InvoiceTable, openTable } from "./table.ts";

const Invoice = z.object({ id: z.string().min(1), to: z.email(), cents: z.int().positive() });

/** The invoice is stored and its mail is on its way, or neither: one transaction, over the application's table and Roger's. */
export async function createInvoice(
  roger: Client,
  { document, name }: InvoiceTable,
  tenant: string,
  invoice: z.infer<typeof Invoice>,
): Promise<string> {
  const { jobId, item } = await roger.toTransactItem(sendInvoice, { invoice: invoice.id, to: invoice.to }, { partition: tenant });
  const put = { TableName: name, Item: invoice, ConditionExpression: "attribute_not_exists(id)" };
  await document.send(new TransactWriteCommand({ TransactItems: [{ Put: put }, item] }));
  return jobId;
}

export const create: APIGatewayProxyHandlerV2 = async ({ pathParameters, body }) => {
  const invoice = Invoice.safeParse(JSON.parse(body ?? "null"));
  if (!invoice.success) return { statusCode: 400, body: z.prettifyError(invoice.error) };
  const jobId = await createInvoice(openRoger(), openTable(), pathParameters?.tenant ?? "", invoice.data);
  return { statusCode: 202, body: JSON.stringify({ job_id: jobId }) };
};
