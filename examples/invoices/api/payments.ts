import type { APIGatewayProxyHandlerV2 } from "aws-lambda";
import type { Client } from "roger-serverless";
import { z } from "zod";
import { bookPayment } from "../jobs/book-payment.ts";
import { openRoger } from "./roger.ts";

const Payment = z.object({ payment: z.string().min(1), invoice: z.string().min(1), customer: z.string().min(1), cents: z.int().positive() });

export async function takePayment(roger: Client, tenant: string, payment: z.infer<typeof Payment>): Promise<string> {
  const { jobId } = await roger.enqueue(bookPayment, payment, { partition: tenant });
  return jobId;
}

export const take: APIGatewayProxyHandlerV2 = async ({ pathParameters, body }) => {
  const payment = Payment.safeParse(JSON.parse(body ?? "null"));
  if (!payment.success) return { statusCode: 400, body: z.prettifyError(payment.error) };
  return { statusCode: 202, body: JSON.stringify({ job_id: await takePayment(openRoger(), pathParameters?.tenant ?? "", payment.data) }) };
};
