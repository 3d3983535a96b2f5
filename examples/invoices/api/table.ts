import { ConditionalCheckFailedException, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { DynamoDBDocumentClient, UpdateCommand } from "@aws-sdk/lib-dynamodb";

export interface Payment {
  readonly payment: string;
  readonly invoice: string;
  readonly cents: number;
}

/** The application's own table. */
export interface InvoiceTable {
  readonly name: string;
  readonly document: DynamoDBDocumentClient;
  /** @returns false when that payment was booked before */
  book(payment: Payment): Promise<boolean>;
}

let opened: InvoiceTable | undefined;

/** One client for the process, made when it is needed first. */
export function openTable(): InvoiceTable {
  opened ??= invoiceTable(DynamoDBDocumentClient.from(new DynamoDBClient()), process.env.INVOICES_TABLE ?? "invoices");
  return opened;
}

function invoiceTable(document: DynamoDBDocumentClient, name: string): InvoiceTable {
  return {
    name,
    document,
    async book({ payment, invoice, cents }) {
      try {
        await document.send(
          new UpdateCommand({
            TableName: name,
            Key: { id: invoice },
            UpdateExpression: "ADD paid :cents, payments :payment",
            ConditionExpression: "attribute_exists(id) AND NOT contains(payments, :id)",
            ExpressionAttributeValues: { ":cents": cents, ":payment": new Set([payment]), ":id": payment },
          }),
        );
        return true;
      } catch (error) {
        if (error instanceof ConditionalCheckFailedException) return false;
        throw error;
      }
    },
  };
}
