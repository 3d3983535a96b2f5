import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, inject } from "vitest";
import { Tables } from "../contract/suites/table.ts";
import { apiSuite } from "./api-suite.ts";
import { describeUnless } from "./describe-unless.ts";
import { urlForContainers } from "./from-containers.ts";
import { Lambdas } from "./lambdas.ts";
import { RestApis } from "./rest-apis.ts";

describeUnless(inject("missing").restApi, "the Lambdas behind a REST API, in an emulator of AWS", () => {
  const releases = new AsyncDisposableStack();
  let apis: RestApis;

  beforeAll(async () => {
    const endpoint = inject("awsEndpoint");
    const tables = new Tables(endpoint);
    releases.defer(() => tables.close());
    releases.defer(() => tables.remove());
    const { table } = await tables.open();
    const lambdas = new Lambdas(endpoint);
    releases.defer(() => lambdas.remove());
    apis = new RestApis(endpoint);
    releases.defer(() => apis.remove());
    await apis.create(lambdas, await lambdas.createApps({ table, amqpUrl: await urlForContainers(inject("amqpUrl")) }));
  }, 900_000);
  afterAll(() => releases.disposeAsync(), 120_000);

  apiSuite(`acme.${randomUUID().slice(0, 8)}`, (...asked) => apis.ask(...asked));
});
