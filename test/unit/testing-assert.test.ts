import { AssertionError } from "node:assert";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { defineJob } from "../../core/job/define-job.ts";
import { testRoger } from "../../testing/test-roger.ts";

const bill = defineJob({
  name: "bill",
  args: z.object({ invoice: z.string(), to: z.object({ name: z.string(), tags: z.array(z.string()) }) }),
  perform: () => undefined,
});
const mail = defineJob({ name: "mail", args: z.string(), queue: "mail", perform: () => undefined });

async function enqueued() {
  const roger = testRoger({ jobs: [bill, mail] });
  await roger.enqueue(bill, { invoice: "1", to: { name: "Ada", tags: ["a", "b"] } }, { partition: "acme" });
  await roger.enqueue(mail, "hello", { partition: "globex", delay: 60 });
  return roger;
}

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(AssertionError);
    return (error as AssertionError).message;
  }
  throw new Error("it did not throw");
}

describe("assertEnqueued", () => {
  it("finds a job by its name, and by what is said of it", async () => {
    const roger = await enqueued();
    expect(roger.assertEnqueued(bill)).toMatchObject({ name: "bill", partition: "acme", delay: 0 });
    roger.assertEnqueued(bill, { args: { invoice: "1" } });
    roger.assertEnqueued(bill, { args: { to: { tags: ["a", "b"] } }, partition: "acme", queue: "default" });
    roger.assertEnqueued(bill, { args: { to: { name: expect.stringMatching(/^A/) } } });
    roger.assertEnqueued(mail, { args: "hello", delay: 60 });
  });

  it("finds it also after it has run", async () => {
    const roger = await enqueued();
    await roger.advance(60_000);
    roger.assertEnqueued(bill, { args: { invoice: "1" } });
  });

  it("says what is wrong with those of the name, and lists the rest", async () => {
    const roger = await enqueued();
    const message = messageOf(() => roger.assertEnqueued(bill, { args: { invoice: "2", to: { tags: ["a"] } }, partition: "globex" }));
    expect(message.split("\n")).toEqual([
      'no bill with {"args":{"invoice":"2","to":{"tags":["a"]}},"partition":"globex"} was enqueued; these were:',
      '  bill in acme, queue default: {"invoice":"1","to":{"name":"Ada","tags":["a","b"]}}',
      '      args.invoice is "1", not "2"',
      '      args.to.tags is ["a","b"], not ["a"]',
      '      partition is "acme", not "globex"',
      '  mail in globex, queue mail, due after 60 s: "hello"',
    ]);
  });

  it("says of a matcher what it wants", async () => {
    const roger = await enqueued();
    expect(messageOf(() => roger.assertEnqueued(bill, { args: { invoice: expect.any(Number) } }))).toContain('args.invoice is "1", not Any');
  });

  it("lists no more than ten, and none when there is none", async () => {
    const roger = testRoger({ jobs: [mail] });
    expect(messageOf(() => roger.assertEnqueued(mail))).toBe("no mail was enqueued; nothing was");
    for (let i = 0; i < 12; i++) await roger.enqueue(mail, String(i), { partition: "acme" });
    expect(messageOf(() => roger.assertEnqueued(bill))).toContain("… and 2 more");
  });

  it("shows its runner both sides", async () => {
    const roger = await enqueued();
    const expected = { args: { invoice: "2" } };
    expect(() => roger.assertEnqueued(bill, expected)).toThrow(
      expect.objectContaining({ expected, actual: { args: { invoice: "1", to: { name: "Ada", tags: ["a", "b"] } } } }),
    );
  });
});

describe("refuteEnqueued", () => {
  it("passes when there is no such job, and shows the one that there is", async () => {
    const roger = await enqueued();
    roger.refuteEnqueued(bill, { args: { invoice: "2" } });
    roger.refuteEnqueued(mail, { partition: "acme" });
    expect(messageOf(() => roger.refuteEnqueued(mail))).toBe('a mail was enqueued:\n  mail in globex, queue mail, due after 60 s: "hello"');
  });
});
