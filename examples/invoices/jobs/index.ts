/** Every job that this file exports can be enqueued and run. */
export { bookPayment } from "./book-payment.ts";
export { sendInvoice } from "./send-invoice.ts";
