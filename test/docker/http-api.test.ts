import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, inject } from "vitest";
import { apiSuite } from "./api-suite.ts";
import { deployApps } from "./deploy-apps.ts";
import { describeUnless } from "./describe-unless.ts";
import { HttpApi } from "./http-api.ts";

const run = randomUUID().slice(0, 8);

describeUnless(inject("missing").httpApi, "the Lambdas behind an HTTP API, in an emulator of AWS", () => {
  const releases = new AsyncDisposableStack();
  let api: HttpApi;

  beforeAll(async () => {
    const { endpoint, lambdas, apps } = await deployApps(releases);
    api = new HttpApi(endpoint);
    releases.defer(() => api.remove());
    await api.create(`roger-${run}`, lambdas, apps);
  }, 900_000);
  afterAll(() => releases.disposeAsync(), 120_000);

  apiSuite(`acme.${run}`, (...asked) => api.ask(...asked));
});
