import { expect, it } from "vitest";
import { z } from "zod";
import { defineJob } from "../../core/job/define-job.ts";
import { Discard } from "../../core/job/verdicts.ts";
import { Tenant } from "../fixture/application.ts";
import { Door } from "../fixture/ledger.ts";
import { until } from "../fixture/pool.ts";

it("a queue key is held from the enqueueing to the end: queued, running, waiting for a retry; and is free after each kind of end", async () => {
  const door = new Door();
  const attempts: number[] = [];
  const once = defineJob({
    name: "once",
    args: z.object({ invoice: z.string(), how: z.enum(["retried", "discarded", "done"]) }),
    queueKey: ({ invoice }) => invoice,
    retry: { levels: [1] },
    perform: async ({ how }, ctx) => {
      attempts.push(ctx.attempt);
      if (how === "discarded") throw new Discard("not this one");
      if (how === "retried" && ctx.attempt === 1) {
        await door.pass(ctx.signal);
        throw new Error("not yet");
      }
    },
  });
  const tenant = await Tenant.open([once]);
  const { client, id: partition, pool } = tenant;
  const enqueue = (how: "retried" | "discarded" | "done") => client.enqueue(once, { invoice: "7", how }, { partition });

  await pool.command(partition, { type: "pause", queue: "default" });
  const { jobId } = await enqueue("retried");
  const refused = { code: "duplicate_job", existingJobId: jobId };
  await expect(enqueue("done"), "queued").rejects.toMatchObject(refused);
  await pool.command(partition, { type: "resume", queue: "default" });
  await until("it runs", () => attempts.length === 1);
  await expect(enqueue("done"), "running").rejects.toMatchObject(refused);
  door.open();
  await until("it waits for its retry", async () => (await tenant.parked()).some(({ reason }) => reason === "retry"));
  await expect(enqueue("done"), "waiting for its retry").rejects.toMatchObject(refused);
  await until("its second attempt has ended", async () => (await tenant.queueKeyState("7")) === "done");
  expect(attempts).toEqual([1, 2]);

  await enqueue("discarded");
  await until("it is buried", async () => (await tenant.buried()).length === 1 && (await tenant.queueKeyState("7")) === "done");
  await pool.command(partition, { type: "pause", queue: "default" });
  const last = await enqueue("done");
  await expect(client.cancel(partition, last.jobId)).resolves.toBe("cancelling");
  await pool.command(partition, { type: "resume", queue: "default" });
  await until("it is cancelled", async () => (await tenant.queueKeyState("7")) === "done");
  await enqueue("done");
  await until("the fourth one has run", () => attempts.length === 4);
});
