import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, inject, it, vi } from "vitest";
import { Tables, type TableWorld } from "../contract/suites/table.ts";
import { describeUnless } from "./describe-unless.ts";
import { EcsService } from "./ecs-service.ts";
import { urlForContainers } from "./from-containers.ts";
import { HttpApi } from "./http-api.ts";
import { type Lambda, Lambdas } from "./lambdas.ts";
import { WorkerImage } from "./worker-image.ts";

const SOON = { timeout: 120_000, interval: 500 };
const SLOTS = 2;

describeUnless(inject("missing").ecs, "the whole of it, in an emulator of AWS", () => {
  const run = randomUUID().slice(0, 8);
  const at = `/partitions/acme.${run}`;
  const releases = new AsyncDisposableStack();
  let image: WorkerImage;
  let world: TableWorld;
  let service: EcsService;
  let lambdas: Lambdas;
  let scaler: Lambda;
  let api: HttpApi;

  beforeAll(async () => {
    const endpoint = inject("awsEndpoint");
    image = await WorkerImage.build();
    releases.defer(() => image.remove());
    const tables = new Tables(endpoint);
    releases.defer(() => tables.close());
    releases.defer(() => tables.remove());
    world = await tables.open();
    const { table } = world;
    const amqpUrl = await urlForContainers(inject("amqpUrl"));
    service = new EcsService(endpoint, `roger-${run}`);
    releases.defer(() => service.remove());
    await service.create({
      image: image.tag,
      environment: {
        ...{ AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "test", AWS_SECRET_ACCESS_KEY: "test" },
        ...{ ROGER_AMQP_URL: amqpUrl, ROGER_TABLE: table, AWS_ENDPOINT_URL_DYNAMODB: await urlForContainers(endpoint) },
        ...{ ROGER_SLOTS: String(SLOTS), ROGER_REPORT_SECONDS: "1" },
      },
    });
    lambdas = new Lambdas(endpoint);
    releases.defer(() => lambdas.remove());
    const services = [{ pool: "default", service: service.name, slots: SLOTS, min: 0, max: 2 }];
    const told = { table, amqpUrl, scaling: { ROGER_CLUSTER: service.name, ROGER_SERVICES: JSON.stringify(services) } };
    scaler = await lambdas.createScaler(told);
    api = new HttpApi(endpoint);
    releases.defer(() => api.remove());
    await api.create(`roger-${run}`, lambdas, await lambdas.createApps(told));
  }, 900_000);
  afterAll(() => releases.disposeAsync(), 240_000);

  beforeEach(({ onTestFailed }) => onTestFailed(async () => console.log(`${await service.story()}\n${await image.logs()}`)));

  it("scales out with the command that starts a partition", async () => {
    expect(await service.counts()).toEqual({ desired: 0, running: 0 });
    expect(await api.ask("POST", `${at}/start`, { queues: { default: SLOTS } })).toMatchObject({ status: 200, body: { status: "running" } });
    expect(await service.counts()).toMatchObject({ desired: 1 });
    await vi.waitFor(async () => expect(await service.counts()).toEqual({ desired: 1, running: 1 }), SOON);
  }, 240_000);

  it("does a job, and buries one that can't be done", async () => {
    expect(await api.ask("POST", `${at}/jobs`, { id: "one", name: "sleep", args: { seconds: 0 } })).toMatchObject({ status: 202 });
    await vi.waitFor(async () => expect((await api.ask("GET", `${at}/jobs/one`)).body).toMatchObject({ state: "done" }), SOON);
    expect(await api.ask("POST", `${at}/jobs`, { id: "two", name: "fail", args: { message: "as the test asked" } })).toMatchObject({ status: 202 });
    const buried = { state: "buried", error: { message: "as the test asked" } };
    await vi.waitFor(async () => expect((await api.ask("GET", `${at}/jobs/two`)).body).toMatchObject(buried), SOON);
    expect((await api.ask("GET", "/tasks")).body).toMatchObject({ tasks: [{ pool: "default", slots: SLOTS }] });
  }, 240_000);

  it("drains to nothing once its last partition has stopped safely, with the job that ran done", async () => {
    expect(await api.ask("POST", `${at}/jobs`, { id: "three", name: "sleep", args: { seconds: 5 } })).toMatchObject({ status: 202 });
    await vi.waitFor(async () => expect((await api.ask("GET", `${at}/jobs/three`)).body).toMatchObject({ state: "running" }), SOON);
    expect(await api.ask("POST", `${at}/safe-stop`)).toMatchObject({ status: 200, body: { status: "draining" } });
    await vi.waitFor(async () => expect((await api.ask("GET", at)).body).toMatchObject({ status: "stopped" }), SOON);
    // n.b. for some seconds it is shown as the task has last told.
    await vi.waitFor(async () => expect((await api.ask("GET", `${at}/jobs/three`)).body).toMatchObject({ state: "done" }), SOON);

    // The clock's passes, which alone may shrink a pool; here there is no clock.
    await vi.waitFor(async () => {
      await lambdas.invoke(scaler, {});
      expect(await service.counts()).toMatchObject({ desired: 0 });
    }, SOON);
    await vi.waitFor(async () => expect(await service.counts()).toEqual({ desired: 0, running: 0 }), SOON);
    // It went by itself: a task that is cut off leaves its lease behind.
    await vi.waitFor(async () => expect(await world.store.tasks.leases()).toEqual([]), SOON);
  }, 300_000);
});
