import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, inject } from "vitest";
import { Tables } from "../contract/suites/table.ts";
import { apiSuite } from "./api-suite.ts";
import { describeUnless } from "./describe-unless.ts";
import { urlForContainers } from "./from-containers.ts";
import { HttpApi } from "./http-api.ts";
import { Lambdas } from "./lambdas.ts";

const run = randomUUID().slice(0, 8);

describeUnless(inject("missing").httpApi, "the Lambdas behind an HTTP API, in an emulator of AWS", () => {
  const releases = new AsyncDisposableStack();
  let api: HttpApi;

  beforeAll(async () => {
    const endpoint = inject("awsEndpoint");
    const tables = new Tables(endpoint);
    releases.defer(() => tables.close());
    releases.defer(() => tables.remove());
    const { table } = await tables.open();
    const lambdas = new Lambdas(endpoint);
    releases.defer(() => lambdas.remove());
    api = new HttpApi(endpoint);
    releases.defer(() => api.remove());
    await api.create(`roger-${run}`, lambdas, await lambdas.createApps({ table, amqpUrl: await urlForContainers(inject("amqpUrl")) }));
  }, 900_000);
  afterAll(() => releases.disposeAsync(), 120_000);

  apiSuite(`acme.${run}`, (...asked) => api.ask(...asked));
});
