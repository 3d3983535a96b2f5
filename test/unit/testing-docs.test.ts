import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { z } from "zod";
import type { Client } from "../../client/client.ts";
import { defineJob } from "../../core/job/define-job.ts";
import { testRoger } from "../../testing/index.ts";

/** What docs/testing.md shows, as it stands there: the last test looks that it does. */
const mailer = { send: async (_invoice: string): Promise<void> => undefined };

const sendInvoice = defineJob({
  name: "send-invoice",
  args: z.object({ invoice: z.string(), customer: z.string() }),
  queue: "mail",
  retry: { levels: [1, 5, 30] },
  perform: ({ invoice }) => mailer.send(invoice),
});

const signUp = (client: Client, { customer }: { customer: string }) =>
  client.enqueue(sendInvoice, { invoice: "1", customer }, { partition: "acme", delay: 60 });

it("sends an invoice again when the mailer was away", async () => {
  const roger = testRoger({ jobs: [sendInvoice] });
  const send = vi.spyOn(mailer, "send").mockRejectedValueOnce(new Error("away"));
  await roger.enqueue(sendInvoice, { invoice: "1", customer: "c" }, { partition: "acme" });

  expect(await roger.drain()).toMatchObject({ retried: 1, done: 0 });
  expect(await roger.advance(60_000)).toMatchObject({ done: 1 });
  expect(send).toHaveBeenCalledTimes(2);
  expect(roger.buried()).toEqual([]);
});

it("asserts what a sign-up enqueues", async () => {
  const roger = testRoger({ jobs: [sendInvoice] });
  await signUp(roger.client, { customer: "c" });

  roger.assertEnqueued(sendInvoice, { args: { customer: "c" }, partition: "acme", delay: 60 });
  roger.refuteEnqueued(sendInvoice, { partition: "globex" });
  expect(() => roger.assertEnqueued(sendInvoice, { args: { customer: "d" }, partition: "acme" })).toThrow(block("text", 0));
});

it("is what the page shows", () => {
  const here = readFileSync(import.meta.filename, "utf8");
  for (const code of [block("ts", 0), block("ts", 1)]) {
    for (const line of code.split("\n").filter((each) => !each.startsWith("import "))) expect(here).toContain(line.trim());
  }
});

/** The page's n-th block of that language, counted from 0. */
function block(language: string, n: number): string {
  const page = readFileSync(join(import.meta.dirname, "../../docs/testing.md"), "utf8");
  const blocks = [...page.matchAll(new RegExp(`\\n\`\`\`${language}\\n(.*?)\\n\`\`\``, "gs"))];
  const found = blocks[n]?.[1];
  if (found === undefined) throw new Error(`docs/testing.md has no ${language} block ${n}`);
  return found;
}
