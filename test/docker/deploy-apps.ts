import { inject } from "vitest";
import type { ApiApp } from "../../core/contract/api-routes.ts";
import { Tables } from "../contract/suites/table.ts";
import { urlForContainers } from "./from-containers.ts";
import { type Lambda, Lambdas } from "./lambdas.ts";

export interface DeployedApps {
  readonly endpoint: string;
  readonly lambdas: Lambdas;
  readonly apps: ReadonlyMap<ApiApp, Lambda>;
}

/** Every app of the API as Lambdas of the emulator, on a table of their own. @param releases removes them again */
export async function deployApps(releases: AsyncDisposableStack): Promise<DeployedApps> {
  const endpoint = inject("awsEndpoint");
  const tables = new Tables(endpoint);
  releases.defer(() => tables.close());
  releases.defer(() => tables.remove());
  const { table } = await tables.open();
  const lambdas = new Lambdas(endpoint);
  releases.defer(() => lambdas.remove());
  return { endpoint, lambdas, apps: await lambdas.createApps({ table, amqpUrl: await urlForContainers(inject("amqpUrl")) }) };
}
