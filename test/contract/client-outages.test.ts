import { connect } from "amqplib";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Client } from "../../client/client.ts";
import { connect as connectClient } from "../../client/connect.ts";
import { systemClock } from "../../core/contract/clock.ts";
import { openDocument } from "../../store/client.ts";
import { openStore } from "../../store/store.ts";
import { bill, ClientWorld, greet } from "../client-world.ts";
import type { TcpProxy } from "../proxy.ts";
import { useDynalite } from "./suites/dynalite.ts";
import type { TableWorld } from "./suites/table.ts";

const { open } = useDynalite();
let table: TableWorld;
let world: ClientWorld;
let proxy: TcpProxy;
let client: Client;
beforeEach(async () => {
  table = await open();
  world = new ClientWorld(table, DEADLINE_MS);
  await world.startAndDeclare("default");
  proxy = await world.rabbit.proxy();
  client = world.client(proxy.url);
});
afterEach(() => world.close());

/** Short, for most tests wait for it. */
const DEADLINE_MS = 700;
const SOON = { timeout: 60_000, interval: 20 };
/** What two tries may take, and a slow machine on top. */
const TWO_TRIES_MS = 2 * DEADLINE_MS + 1_500;

const enqueue = (to = "x") => client.enqueue(greet, { to }, { partition: world.partition });
const parked = async () => (await world.store.parked.list(world.partition, { limit: 100 })).jobs;

async function timed<T>(work: () => Promise<T>): Promise<{ readonly value: T; readonly ms: number }> {
  const begin = performance.now();
  const value = await work();
  return { value, ms: performance.now() - begin };
}

describe("a process that was frozen", () => {
  it("finds its connection as it left it: it has no heartbeat that could be missed", async () => {
    const frozen = connectClient({ table: world.table, endpoint: table.endpoint, amqpUrl: proxy.url });
    const { partition } = world;
    await frozen.enqueue(greet, { to: "before" }, { partition });
    // One that has a heartbeat, and goes under meanwhile: both ends give it up after two seconds of silence.
    const other = await connect(`${proxy.url}?heartbeat=1`);
    other.on("error", () => undefined);
    const gone = new Promise((resolve) => other.once("close", resolve));
    expect(proxy.connections).toBe(2);
    proxy.stall();
    await gone;
    proxy.flow();
    expect(await frozen.enqueue(greet, { to: "after" }, { partition })).toMatchObject({ state: "queued" });
    expect(proxy.accepted).toBe(2);
    await frozen.close();
  });

  it("finds its connection cut: the next job goes over a new one", async () => {
    await enqueue();
    proxy.cut();
    // In the same tick, as after a thaw: this process does not know yet.
    const { value, ms } = await timed(() => enqueue("after"));
    expect(value.state).toBe("queued");
    expect(ms).toBeLessThan(TWO_TRIES_MS);
    expect((await world.queued()).map(({ args }) => args)).toContainEqual({ to: "after" });
    expect(await parked()).toEqual([]);
  });

  it("finds its connection silent: it is given up, and the job goes over a new one", async () => {
    await enqueue();
    proxy.swallow();
    const { value, ms } = await timed(() => enqueue("after"));
    expect(value.state).toBe("queued");
    expect(ms).toBeGreaterThanOrEqual(DEADLINE_MS - 5);
    expect(ms).toBeLessThan(TWO_TRIES_MS);
    // The old one was not merely left behind.
    await vi.waitFor(() => expect(proxy.connections).toBe(1), SOON);
    expect(await enqueue()).toMatchObject({ state: "queued" });
    expect(await parked()).toEqual([]);
  });

  it("with many jobs on their way at once, all of them get there", async () => {
    await enqueue("first");
    proxy.swallow();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => enqueue(`n${i}`)));
    expect(answers.map(({ state }) => state)).toEqual(Array.from({ length: 50 }, () => "queued"));
    const texts = (await world.queued()).map(({ args }) => (args as { to: string }).to);
    expect(new Set(texts)).toEqual(new Set(["first", ...Array.from({ length: 50 }, (_, i) => `n${i}`)]));
  });
});

describe("RabbitMQ away", () => {
  it("from the start: the job is accepted by way of the outbox, and the next ones without waiting", async () => {
    proxy.refuse();
    const first = await timed(() => enqueue());
    expect(first.value.state).toBe("parked");
    expect(first.ms).toBeLessThan(TWO_TRIES_MS);
    // One after the other: did each wait for its deadline, it would take twice as long.
    const next = await timed(async () => {
      for (let i = 0; i < 20; i++) expect((await enqueue()).state).toBe("parked");
    });
    expect(next.ms).toBeLessThan(10 * DEADLINE_MS);
    expect(await parked()).toHaveLength(21);
    proxy.flow();
    await vi.waitFor(async () => expect(await enqueue()).toMatchObject({ state: "queued" }), SOON);
  });

  it("in the middle: what was on its way goes to the outbox", async () => {
    await enqueue();
    proxy.refuse();
    const { value, ms } = await timed(() => enqueue());
    expect(value.state).toBe("parked");
    expect(ms).toBeLessThan(TWO_TRIES_MS);
    proxy.flow();
    await vi.waitFor(async () => expect(await enqueue()).toMatchObject({ state: "queued" }), SOON);
  });

  it("accepts connections and never answers: the outbox, within two deadlines", async () => {
    proxy.stall();
    const { value, ms } = await timed(() => enqueue());
    expect(value.state).toBe("parked");
    expect(ms).toBeLessThan(TWO_TRIES_MS);
  });

  it("and the partition unknown: refused", async () => {
    proxy.refuse();
    await expect(client.enqueue(greet, { to: "x" }, { partition: "nobody" })).rejects.toMatchObject({ code: "unknown_partition" });
  });

  it("a job with a key goes to the outbox, and its key stays taken", async () => {
    proxy.refuse();
    const { jobId, state } = await client.enqueue(bill, { invoice: "1" }, { partition: world.partition });
    expect(state).toBe("parked");
    expect(await parked()).toMatchObject([{ id: jobId, reason: "outbox" }]);
    expect(await world.store.queueKeys.get({ partition: world.partition, key: "invoice:1" })).toMatchObject({ jobId, state: "queued" });
    await expect(client.enqueue(bill, { invoice: "1" }, { partition: world.partition })).rejects.toMatchObject({ existingJobId: jobId });
  });
});

describe("a queue that takes no more", () => {
  it("has its jobs in the outbox; other queues' jobs go on", async () => {
    await world.start("default", "full");
    const limits = { "x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish" };
    await (await world.rabbit.channel()).assertQueue(world.rabbit.queue("full"), { durable: true, arguments: limits });
    const full = { ...greet, queueOf: () => "full" };
    const fill = () => client.enqueue(full, { to: "x" }, { partition: world.partition });
    await vi.waitFor(async () => expect(await fill()).toMatchObject({ state: "parked" }), SOON);
    expect(await timed(fill)).toMatchObject({ value: { state: "parked" } });
    expect(await enqueue()).toMatchObject({ state: "queued" });
    expect(proxy.connections).toBe(1);
  });
});

describe("DynamoDB away", () => {
  it("does not touch plain jobs; one that needs it fails, with all said", async () => {
    const document = openDocument({ endpoint: "http://127.0.0.1:1" });
    const store = openStore({ document, table: "none", clock: systemClock });
    const cut = world.client(proxy.url, { store, release: () => document.destroy() });
    const { partition } = world;
    expect(await cut.enqueue(greet, { to: "x" }, { partition })).toMatchObject({ state: "queued" });
    await expect(cut.enqueue(bill, { invoice: "1" }, { partition })).rejects.toMatchObject({ code: "store_unavailable" });
    proxy.refuse();
    await expect(cut.enqueue(greet, { to: "x" }, { partition })).rejects.toMatchObject({ code: "store_unavailable" });
  });
});

describe("closing", () => {
  it("ends in time though RabbitMQ is silent, and nothing stays open", async () => {
    await enqueue();
    proxy.swallow();
    const begun = enqueue("late");
    const { ms } = await timed(() => client.close());
    expect(await begun).toMatchObject({ jobId: expect.any(String) });
    expect(ms).toBeLessThan(TWO_TRIES_MS + 5_000);
    await vi.waitFor(() => expect(proxy.connections).toBe(0), SOON);
  });

  it("waits for what was begun", async () => {
    const begun = Array.from({ length: 100 }, (_, i) => enqueue(`n${i}`));
    await client.close();
    expect((await Promise.all(begun)).every(({ state }) => state === "queued")).toBe(true);
    expect(await world.queued()).toHaveLength(100);
  });
});
