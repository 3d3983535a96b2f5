import { afterAll, afterEach, beforeAll, expect, inject, it, onTestFailed, onTestFinished, vi } from "vitest";
import { systemClock } from "../../core/contract/clock.ts";
import { brokerQueue } from "../../core/contract/names.ts";
import type { Json } from "../../core/job/envelope.ts";
import { newJobId } from "../../core/job/id.ts";
import { parkedJob } from "../../core/job/parked.ts";
import { openStore, type Store } from "../../store/store.ts";
import { BrokerWorld } from "../broker-world.ts";
import { Tables, type TableWorld } from "../contract/suites/table.ts";
import { start } from "../contract/suites/world.ts";
import { describeUnless } from "./describe-unless.ts";
import { type RunningWorker, WorkerImage } from "./worker-image.ts";

const { docker, dynamoDb } = inject("missing");

/** Dependencies, our own code, and room to grow; a task loads the image before it works. */
const MOST_BYTES = 60_000_000;
const PARTITION = "acme";
const SOON = { timeout: 60_000, interval: 200 };

describeUnless(docker ?? dynamoDb, "the image of worker/Dockerfile", () => {
  const releases = new AsyncDisposableStack();
  const world = new BrokerWorld();
  let image: WorkerImage;
  let table: TableWorld;
  let store: Store;

  beforeAll(async () => {
    image = await WorkerImage.build();
    releases.defer(() => image.remove());
    const tables = new Tables(inject("awsEndpoint"));
    releases.defer(() => tables.close());
    releases.defer(() => tables.remove());
    table = await tables.open();
    store = openStore({ document: table.document, table: table.table, clock: systemClock });
    await start(store.partitions, PARTITION, { default: { default: 2 } });
  }, 600_000);
  afterEach(() => world.close());
  afterAll(() => releases.disposeAsync(), 120_000);

  async function worker(more: Readonly<Record<string, string>> = {}): Promise<RunningWorker> {
    const credentials = { AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" };
    const backends = { ROGER_AMQP_URL: inject("amqpUrl"), ROGER_TABLE: table.table, AWS_ENDPOINT_URL_DYNAMODB: table.endpoint };
    const running = await image.run({ ...credentials, ...backends, ROGER_HEALTH_PORT: "0", ROGER_REPORT_SECONDS: "1", ...more });
    onTestFinished(() => running.remove());
    return running;
  }

  async function enqueue(name: string, args: Json): Promise<string> {
    const now = systemClock.now();
    const envelope = { v: 1, id: newJobId(), name, args, partition: PARTITION, queue: "default", attempt: 1, enqueued_at: now } as const;
    await store.parked.park(parkedJob(envelope, { reason: "outbox", due: now, since: now }));
    return envelope.id;
  }

  const running = async (): Promise<string[]> => (await store.tasks.reports()).flatMap((report) => report.running.map(({ id }) => id));

  it("begins with Node in exec form, as nobody in particular, and is small", async () => {
    const { Config } = await image.inspect();
    expect(Config).toMatchObject({ User: "node", Cmd: ["node", "worker/main.ts"], WorkingDir: "/app" });
    expect(await image.addedBytes()).toBeLessThan(MOST_BYTES);
  });

  it("runs a job on a root that it can't write to", async () => {
    const task = await worker();
    const id = await enqueue("fail", { message: "as the test asked" });
    await vi.waitFor(async () => expect(await store.buried.get(PARTITION, id)).toMatchObject({ error: { message: "as the test asked" } }), SOON);
    expect(await task.tryToWrite("/tmp/here")).toBe(0);
    expect(await task.tryToWrite("/app/here")).not.toBe(0);
    expect(await task.stop()).toMatchObject({ code: 0 });
  }, 120_000);

  it("ends a job that runs before it ends itself, with 0 and nothing left to take over", async () => {
    const task = await worker();
    const id = await enqueue("sleep", { seconds: 3 });
    await vi.waitFor(async () => expect(await running()).toEqual([id]), SOON);
    const { code, log } = await task.stop();
    onTestFailed(() => console.log(log));
    expect(code).toBe(0);
    expect(await store.tasks.leases()).toEqual([]);
    expect((await store.partitions.get(PARTITION))?.held).toEqual({ "default/default": 0 });
    // Cut off, it would have gone back to its queue.
    expect(await (await world.broker()).admin.depth(brokerQueue(PARTITION, "default"))).toBe(0);
  }, 120_000);

  it("says what it lacks, and ends with 1", async () => {
    const { code, log } = await (await worker({ ROGER_AMQP_URL: "" })).stop();
    expect(code).toBe(1);
    expect(log).toContain("ROGER_AMQP_URL");
  });
});
