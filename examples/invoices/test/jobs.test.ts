import assert from "node:assert/strict";
import { it } from "node:test";
import { DuplicateJob } from "roger-serverless";
import { testRoger } from "roger-serverless/testing";
import { takePayment } from "../api/payments.ts";
import { openTable } from "../api/table.ts";
import { bookPayment, sendInvoice } from "../jobs/index.ts";

const jobs = [bookPayment, sendInvoice];
const invoice = { invoice: "1", to: "ada@example.com" };
const acme = { partition: "acme" };

it("sends an invoice again when the mailer was away", async (t) => {
  const roger = testRoger({ jobs });
  const answers = [new Response(null, { status: 503 }), new Response(null, { status: 202 })];
  const mailer = t.mock.method(globalThis, "fetch", async () => answers.shift());
  await roger.enqueue(sendInvoice, invoice, acme);

  assert.equal((await roger.drain()).retried, 1);
  assert.equal((await roger.advance(2_000)).done, 1);
  assert.equal(mailer.mock.callCount(), 2);
});

it("sends an invoice once, however often that is asked for", async () => {
  const roger = testRoger({ jobs });
  await roger.enqueue(sendInvoice, invoice, acme);
  await assert.rejects(roger.enqueue(sendInvoice, invoice, acme), DuplicateJob);
});

it("gives an address up that is none", async (t) => {
  const roger = testRoger({ jobs });
  t.mock.method(globalThis, "fetch", async () => new Response(null, { status: 422 }));
  await roger.enqueue(sendInvoice, invoice, acme);
  assert.equal((await roger.drain()).buried, 1);
});

it("books one payment of a customer at a time", async (t) => {
  const roger = testRoger({ jobs, slots: 2 });
  let running = 0;
  let most = 0;
  const book = t.mock.method(openTable(), "book", async () => {
    running += 1;
    most = Math.max(most, running);
    await Promise.resolve();
    running -= 1;
    return true;
  });
  for (const payment of ["a", "b"]) await takePayment(roger.client, "acme", { payment, invoice: "1", customer: "ada", cents: 100 });
  roger.assertEnqueued(bookPayment, { args: { payment: "b" }, partition: "acme" });

  await roger.advance(60_000);
  assert.equal(book.mock.callCount(), 2);
  assert.equal(most, 1);
});
