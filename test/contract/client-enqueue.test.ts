import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { connect } from "../../client/connect.ts";
import { LIMITS } from "../../core/contract/limits.ts";
import { defineJob, jobSpec } from "../../core/job/define-job.ts";
import { deliverOutbox } from "../../core/job/enqueue.ts";
import { decodeEnvelope } from "../../core/job/envelope.ts";
import { parkedJob } from "../../core/job/parked.ts";
import { keyHash } from "../../core/keys/key-hash.ts";
import { bill, ClientWorld, greet } from "../client-world.ts";
import { ownerOf } from "../key-owner.ts";
import { useDynalite } from "./suites/dynalite.ts";
import type { TableWorld } from "./suites/table.ts";

const { open } = useDynalite();
let table: TableWorld;
let world: ClientWorld;
beforeEach(async () => {
  table = await open();
  world = new ClientWorld(table);
});
afterEach(() => world.close());

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("over RabbitMQ", () => {
  it("a plain job is a message when the call returns, and DynamoDB is not asked", async () => {
    await world.startAndDeclare("default");
    const client = world.client();
    const before = Date.now();
    const { jobId, state } = await client.enqueue(greet, { to: "x" }, { partition: world.partition, traceparent: TRACEPARENT });
    expect(state).toBe("queued");
    expect(world.requests).toEqual([]);
    const [message, ...others] = await world.messages();
    expect(others).toEqual([]);
    expect(message?.properties).toMatchObject({
      messageId: jobId,
      appId: world.partition,
      deliveryMode: 2,
      contentType: "application/json",
      headers: { traceparent: TRACEPARENT },
    });
    const envelope = decodeEnvelope(message?.content ?? "");
    expect(envelope).toEqual({
      v: 1,
      id: jobId,
      name: "greet",
      args: { to: "x" },
      partition: world.partition,
      queue: "default",
      attempt: 1,
      enqueued_at: envelope.enqueued_at,
      traceparent: TRACEPARENT,
    });
    expect(envelope.enqueued_at).toBeGreaterThanOrEqual(before);
  });

  it("a definition is a spec, and its functions choose queue and keys by the parsed args", async () => {
    await world.startAndDeclare("mail");
    const job = defineJob({
      name: "mail",
      args: z.object({ to: z.string().trim(), copies: z.number().default(1) }),
      queue: () => "mail",
      executionKey: ({ to, copies }) => `${to}/${copies}`,
      perform: () => undefined,
    });
    await world.client().enqueue(job, { to: " x " }, { partition: world.partition });
    // As given: the worker's schema parses them once more.
    expect(await world.queued("mail")).toMatchObject([{ args: { to: " x " }, execution_key: "x/1", queue: "mail" }]);
  });

  it("a schema may take its time", async () => {
    await world.startAndDeclare("default");
    const slow = jobSpec({ name: "slow", args: z.string().refine(async (text) => text !== "no") });
    const client = world.client();
    await client.enqueue(slow, "yes", { partition: world.partition });
    await expect(client.enqueue(slow, "no", { partition: world.partition })).rejects.toMatchObject({ field: "args" });
    expect(await world.queued()).toMatchObject([{ args: "yes" }]);
  });

  it("a job for a queue that nobody has declared yet goes to the outbox, if the partition lists it", async () => {
    await world.start("default");
    const client = world.client();
    const { jobId, state } = await client.enqueue(greet, { to: "x" }, { partition: world.partition });
    expect(state).toBe("parked");
    expect(await world.store.parked.get({ partition: world.partition, id: jobId })).toMatchObject({ reason: "outbox", queue: "default", attempt: 1 });
    // The next one does not ask RabbitMQ, nor for the partition's row, for a moment.
    world.requests.length = 0;
    await client.enqueue(greet, { to: "y" }, { partition: world.partition });
    expect(world.requests).toEqual(["PutItemCommand"]);
  });

  it("a job for an unknown partition or queue is refused, and nothing is left behind", async () => {
    await world.start("default");
    const client = world.client();
    const other = jobSpec({ name: "other", args: z.unknown(), queue: "other" });
    for (let again = 0; again < 2; again++) {
      await expect(client.enqueue(greet, { to: "x" }, { partition: "nobody" })).rejects.toMatchObject({
        code: "unknown_partition",
        partition: "nobody",
      });
      await expect(client.enqueue(other, 1, { partition: world.partition })).rejects.toMatchObject({ code: "unknown_queue", queue: "other" });
      await expect(client.enqueue(bill, { invoice: "1" }, { partition: "nobody" })).rejects.toMatchObject({ code: "unknown_partition" });
    }
    expect(await world.store.queueKeys.get({ partition: "nobody", key: "invoice:1" })).toBeUndefined();
    for (const partition of ["nobody", world.partition]) expect((await world.store.parked.list(partition, { limit: 9 })).jobs).toEqual([]);
  });

  it("a partition that was started a moment ago is known at once, and one that was deleted is not", async () => {
    const client = world.client();
    await expect(client.enqueue(greet, { to: "x" }, { partition: world.partition })).rejects.toMatchObject({ code: "unknown_partition" });
    await world.start("default");
    expect(await client.enqueue(greet, { to: "x" }, { partition: world.partition })).toMatchObject({ state: "parked" });
    await world.command({ type: "stop" });
    expect(await client.enqueue(greet, { to: "x" }, { partition: world.partition })).toMatchObject({ state: "parked" });
    await world.command({ type: "delete" });
    await expect(world.client().enqueue(greet, { to: "x" }, { partition: world.partition })).rejects.toMatchObject({ code: "unknown_partition" });
  });

  it("a delayed job is parked until then", async () => {
    await world.startAndDeclare("default");
    const client = world.client();
    const runAt = new Date(Date.now() + 3_600_000);
    const late = await client.enqueue(greet, { to: "x" }, { partition: world.partition, runAt });
    const soon = await client.enqueue(greet, { to: "x" }, { partition: world.partition, delay: 60 });
    const past = await client.enqueue(greet, { to: "x" }, { partition: world.partition, runAt: new Date(0) });
    expect([late.state, soon.state, past.state]).toEqual(["parked", "parked", "queued"]);
    expect(await world.store.parked.get({ partition: world.partition, id: late.jobId })).toMatchObject({ reason: "delayed", due: runAt.getTime() });
    expect(await client.get(world.partition, soon.jobId)).toMatchObject({ state: "parked", reason: "delayed", attempt: 1 });
    expect(await world.queued()).toHaveLength(1);
  });
});

describe("without RabbitMQ", () => {
  it("every job goes by way of the outbox", async () => {
    await world.start("default");
    const client = world.offline();
    const { jobId, state } = await client.enqueue(greet, { to: "x" }, { partition: world.partition });
    expect(state).toBe("parked");
    expect(await world.store.parked.get({ partition: world.partition, id: jobId })).toMatchObject({ reason: "outbox" });
    world.requests.length = 0;
    await client.enqueue(greet, { to: "x" }, { partition: world.partition });
    expect(world.requests).toEqual(["PutItemCommand"]);
  });
});

describe("keys", () => {
  it("a second job of one key is refused with the first one's id, until that has ended", async () => {
    await world.startAndDeclare("default");
    const client = world.client();
    const { jobId } = await client.enqueue(bill, { invoice: "1" }, { partition: world.partition });
    const ref = { partition: world.partition, key: "invoice:1" };
    const life = await ownerOf(world.store.queueKeys, ref);
    expect(await world.store.queueKeys.get(ref)).toEqual({ jobId, enqueuedAt: life.enqueuedAt, queue: "default", state: "queued", attempt: 1 });
    expect(await world.queued()).toMatchObject([{ id: jobId, queue_key: "invoice:1" }]);

    const second = client.enqueue(bill, { invoice: "1" }, { partition: world.partition });
    await expect(second).rejects.toMatchObject({ code: "duplicate_job", existingJobId: jobId });
    expect(await world.queued()).toEqual([]);

    const run = { ...life, run: "t/1", task: "t" };
    await world.store.queueKeys.begin(ref, run, 1, Date.now());
    await expect(client.enqueue(bill, { invoice: "1" }, { partition: world.partition })).rejects.toMatchObject({ existingJobId: jobId });
    await world.store.queueKeys.finish(ref, run.run, Date.now() + LIMITS.doneKeyMs);
    const third = await client.enqueue(bill, { invoice: "1" }, { partition: world.partition });
    expect(third.jobId).not.toBe(jobId);
  });

  it("an id of the caller's is accepted once, also after the job's end", async () => {
    await world.startAndDeclare("default");
    const client = world.client();
    const enqueue = () => client.enqueue(greet, { to: "x" }, { partition: world.partition, id: "order-7" });
    expect(await enqueue()).toEqual({ jobId: "order-7", state: "queued" });
    await expect(enqueue()).rejects.toMatchObject({ code: "duplicate_job", existingJobId: "order-7" });
    expect(await client.get(world.partition, "order-7")).toEqual({ state: "queued" });

    const ref = { partition: world.partition, key: "id:order-7" };
    const me = { ...(await ownerOf(world.store.queueKeys, ref)), run: "t/1", task: "t" };
    await world.store.queueKeys.begin(ref, me, 1, Date.now());
    expect(await client.get(world.partition, "order-7")).toEqual({ state: "running", attempt: 1, task: "t" });
    await world.store.queueKeys.finish(ref, "t/1", Date.now() + LIMITS.doneKeyMs);
    expect(await client.get(world.partition, "order-7")).toEqual({ state: "done" });
    await expect(enqueue()).rejects.toMatchObject({ code: "duplicate_job", existingJobId: "order-7" });
    expect(await world.queued()).toHaveLength(1);
  });

  describe("an id whose earlier life was cancelled, parked, and is not cleared away though its key is forgotten", () => {
    const left = async (attempt: number) => {
      const { partition } = world;
      const envelope = { v: 1, id: "order-7", name: "greet", args: { to: "old" }, partition, queue: "default", attempt, enqueued_at: 1 } as const;
      const now = Date.now();
      await world.store.parked.park(parkedJob(envelope, { reason: "cancelled", due: now, since: now }));
      return { partition, id: "order-7" };
    };

    it.each([1, 2])("is taken by a job that waits in its key for that one, which was at attempt %i", async (attempt) => {
      await world.startAndDeclare("default");
      const { partition, id } = await left(attempt);
      expect(await world.client().enqueue(greet, { to: "new" }, { partition, id })).toEqual({ jobId: id, state: "parked" });
      expect(await world.queued()).toEqual([]);
      const { parked, queueKeys } = world.store;
      const ref = { partition, key: "id:order-7" };
      const inKey = { state: "publishing", outbox: { attempt: 1 } };
      expect(await queueKeys.get(ref)).toMatchObject(inKey);
      // The pump looks after it in vain as long as the other is there, then parks it.
      const { due = 0 } = (await queueKeys.get(ref)) ?? {};
      const handle = { partition, hash: keyHash(ref.key) };
      await deliverOutbox({ queueKeys, parked }, handle, due, due + 1);
      expect(await queueKeys.get(ref)).toMatchObject(inKey);
      const before = await parked.get({ partition, id });
      expect(before).toMatchObject({ reason: "cancelled", enqueuedAt: 1 });
      await parked.remove({ partition, id }, before?.rev ?? "");
      await deliverOutbox({ queueKeys, parked }, handle, due + 1, due + 2);
      expect(await parked.get({ partition, id })).toMatchObject({ reason: "outbox", attempt: 1 });
      expect(await queueKeys.get(ref)).toMatchObject({ state: "queued" });
    });

    it("is taken in a transaction, too", async () => {
      await world.startAndDeclare("default");
      const { partition, id } = await left(2);
      expect(await world.client().toTransactItem(greet, { to: "new" }, { partition, id })).toMatchObject({ jobId: id });
    });
  });

  it("of many who enqueue the same at once, one does", async () => {
    await world.startAndDeclare("default");
    const client = world.client();
    const answers = await Promise.allSettled(
      Array.from({ length: 16 }, () => client.enqueue(bill, { invoice: "1" }, { partition: world.partition })),
    );
    const [winner, ...others] = answers.filter(({ status }) => status === "fulfilled");
    expect(others).toEqual([]);
    const { jobId } = (winner as PromiseFulfilledResult<{ jobId: string }>).value;
    for (const answer of answers) if (answer.status === "rejected") expect(answer.reason).toMatchObject({ existingJobId: jobId });
    expect(await world.queued()).toMatchObject([{ id: jobId }]);
  });

  it("a delayed job has its key from the start", async () => {
    await world.start("default");
    const client = world.offline();
    const { jobId } = await client.enqueue(bill, { invoice: "1" }, { partition: world.partition, delay: 600 });
    expect(await world.store.parked.get({ partition: world.partition, id: jobId })).toMatchObject({ reason: "delayed" });
    await expect(client.enqueue(bill, { invoice: "1" }, { partition: world.partition })).rejects.toMatchObject({ existingJobId: jobId });
  });
});

describe("what is wrong is named", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic.self = cyclic;
  const any = jobSpec({ name: "any", args: z.unknown() });
  const date = jobSpec({ name: "date", args: z.object({ at: z.date() }) });
  const longKey = jobSpec({ name: "long", args: z.unknown(), executionKey: () => "x".repeat(513) });
  const badQueue = jobSpec({ name: "bad", args: z.unknown(), queue: () => "No-Such" });

  it.each<[string, string, (client: ReturnType<ClientWorld["client"]>, partition: string) => Promise<unknown>]>([
    ["args of the wrong shape", "args.to", (client, partition) => client.enqueue(greet, { to: 1 } as never, { partition })],
    ["args that are not there", "args", (client, partition) => client.enqueue(any, undefined, { partition })],
    ["args in a circle", "args", (client, partition) => client.enqueue(any, cyclic, { partition })],
    ["a BigInt", "args", (client, partition) => client.enqueue(any, 1n, { partition })],
    ["a Date where the worker will find a text", "args.at", (client, partition) => client.enqueue(date, { at: new Date() }, { partition })],
    ["args of 256 KiB", "args", (client, partition) => client.enqueue(any, "x".repeat(LIMITS.envelopeBytes), { partition })],
    ["too long a key", "args", (client, partition) => client.enqueue(longKey, 1, { partition })],
    ["a queue that is no name", "args", (client, partition) => client.enqueue(badQueue, 1, { partition })],
    ["a bad partition", "partition", (client) => client.enqueue(any, 1, { partition: "../x" })],
    ["no partition", "partition", (client) => client.enqueue(any, 1, {} as never)],
    ["a bad id", "id", (client, partition) => client.enqueue(any, 1, { partition, id: "a/b" })],
    ["an id beside a queue key", "id", (client, partition) => client.enqueue(bill, { invoice: "1" }, { partition, id: "a" })],
    ["a negative delay", "delay", (client, partition) => client.enqueue(any, 1, { partition, delay: -1 })],
    ["a delay that is no number", "delay", (client, partition) => client.enqueue(any, 1, { partition, delay: "5" as never })],
    ["more than ten years", "delay", (client, partition) => client.enqueue(any, 1, { partition, delay: 1e9 })],
    ["a time that is none", "runAt", (client, partition) => client.enqueue(any, 1, { partition, runAt: new Date("x") })],
    ["a delay and a time", "runAt", (client, partition) => client.enqueue(any, 1, { partition, delay: 1, runAt: new Date() })],
    ["no job", "jobId", (client, partition) => client.cancel(partition, "a b")],
    ["no window", "window", (client, partition) => client.enqueueMany(any, [], { partition, window: 0 })],
  ])("%s", async (_, field, call) => {
    await world.start("default");
    await expect(call(world.client(), world.partition)).rejects.toMatchObject({ code: "invalid_request", field });
    expect(world.requests).toEqual([]);
  });
});

describe("cancelling", () => {
  it("a parked job will not run any more, a queued one has a marker waiting for it", async () => {
    await world.startAndDeclare("default");
    const client = world.client();
    const parked = await client.enqueue(greet, { to: "x" }, { partition: world.partition, delay: 60 });
    const queued = await client.enqueue(greet, { to: "x" }, { partition: world.partition });
    expect(await client.cancel(world.partition, parked.jobId)).toBe("cancelled");
    expect(await client.get(world.partition, parked.jobId)).toEqual({ state: "cancelled" });
    expect(await client.cancel(world.partition, queued.jobId)).toBe("cancelling");
    expect(await world.store.cancels.get(world.partition, queued.jobId)).toMatchObject({ id: queued.jobId });
    expect(await client.get(world.partition, queued.jobId)).toEqual({ state: "cancelled" });
    await expect(client.cancel("nobody", queued.jobId)).rejects.toMatchObject({ code: "unknown_partition" });
  });
});

describe("connect", () => {
  it("needs a table, an AMQP URL that is one, and no option that it does not know", () => {
    expect(() => connect({ table: "" })).toThrow(/^table: /);
    expect(() => connect({ table: "t", amqpUrl: "http://user:secret@x" })).toThrow(/^amqpUrl: (?!.*secret)/);
    expect(() => connect({ table: "t", amqpURL: "amqp://x" } as never)).toThrow(/^amqpURL: /);
    expect(() => connect({ table: "t", publishDeadlineMs: 0 })).toThrow(/^publishDeadlineMs: /);
  });

  it("enqueues on a table, and not after it was closed", async () => {
    await world.start("default");
    const client = connect({ table: world.table, endpoint: table.endpoint });
    const begun = client.enqueue(greet, { to: "x" }, { partition: world.partition });
    await Promise.all([client.close(), client.close()]);
    expect(await begun).toMatchObject({ state: "parked" });
    await expect(client.enqueue(greet, { to: "x" }, { partition: world.partition })).rejects.toMatchObject({ code: "client_closed" });
  });

  it("lets go of a caller who aborts", async () => {
    await world.startAndDeclare("default");
    const client = world.client();
    const aborted = AbortSignal.abort(new Error("no more"));
    await expect(client.enqueue(greet, { to: "x" }, { partition: world.partition, signal: aborted })).rejects.toThrow("no more");
    const controller = new AbortController();
    const begun = client.enqueue(greet, { to: "x" }, { partition: world.partition, signal: controller.signal });
    controller.abort(new Error("too late"));
    await expect(begun).rejects.toThrow("too late");
  });
});
