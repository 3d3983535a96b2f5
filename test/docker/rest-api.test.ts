import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, inject } from "vitest";
import { apiSuite } from "./api-suite.ts";
import { deployApps } from "./deploy-apps.ts";
import { describeUnless } from "./describe-unless.ts";
import { RestApis } from "./rest-apis.ts";

describeUnless(inject("missing").restApi, "the Lambdas behind a REST API, in an emulator of AWS", () => {
  const releases = new AsyncDisposableStack();
  let apis: RestApis;

  beforeAll(async () => {
    const { endpoint, lambdas, apps } = await deployApps(releases);
    apis = new RestApis(endpoint);
    releases.defer(() => apis.remove());
    await apis.create(lambdas, apps);
  }, 900_000);
  afterAll(() => releases.disposeAsync(), 120_000);

  apiSuite(`acme.${randomUUID().slice(0, 8)}`, (...asked) => apis.ask(...asked));
});
