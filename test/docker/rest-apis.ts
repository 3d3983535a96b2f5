import {
  APIGatewayClient,
  CreateDeploymentCommand,
  CreateResourceCommand,
  CreateRestApiCommand,
  DeleteRestApiCommand,
  GetResourcesCommand,
  PutIntegrationCommand,
  PutMethodCommand,
} from "@aws-sdk/client-api-gateway";
import { type ApiApp, routeOf } from "../../core/contract/api-routes.ts";
import { type Answer, requestApi } from "./api-request.ts";
import { clientOf, REGION } from "./aws.ts";
import type { Lambda, Lambdas } from "./lambdas.ts";

const STAGE = "test";

/**
 * A REST API for each Lambda, which hands it every path: the older kind of API (payload 1.0), because it is the one that
 * emulators have for nothing. It does not know Roger's routes; here they are only looked up.
 */
export class RestApis {
  readonly #endpoint: string;
  readonly #gateway: APIGatewayClient;
  readonly #ids = new Map<ApiApp, string>();
  readonly #releases = new AsyncDisposableStack();

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
    this.#gateway = this.#releases.adopt(new APIGatewayClient(clientOf(endpoint)), async (client) => client.destroy());
  }

  async create(lambdas: Lambdas, apps: ReadonlyMap<ApiApp, Lambda>): Promise<void> {
    for (const [app, lambda] of apps) {
      this.#ids.set(app, await this.#createApi(lambda));
      await lambdas.openToApis(lambda);
    }
  }

  async #createApi({ name, arn }: Lambda): Promise<string> {
    const { id: restApiId = "" } = await this.#gateway.send(new CreateRestApiCommand({ name }));
    this.#releases.defer(async () => void (await this.#gateway.send(new DeleteRestApiCommand({ restApiId }))));
    const { items: resources = [] } = await this.#gateway.send(new GetResourcesCommand({ restApiId }));
    const parentId = resources.find(({ path }) => path === "/")?.id;
    const { id: resourceId } = await this.#gateway.send(new CreateResourceCommand({ restApiId, parentId, pathPart: "{proxy+}" }));
    const method = { restApiId, resourceId, httpMethod: "ANY" };
    await this.#gateway.send(new PutMethodCommand({ ...method, authorizationType: "NONE" }));
    const uri = `arn:aws:apigateway:${REGION}:lambda:path/2015-03-31/functions/${arn}/invocations`;
    await this.#gateway.send(new PutIntegrationCommand({ ...method, type: "AWS_PROXY", integrationHttpMethod: "POST", uri }));
    await this.#gateway.send(new CreateDeploymentCommand({ restApiId, stageName: STAGE }));
    return restApiId;
  }

  /** To the API of the Lambda that the path belongs to, under the name that AWS would give it. */
  async ask(method: string, path: string, body?: object): Promise<Answer> {
    const { app } = routeOf(method, path.replace(/\?.*/, ""));
    const host = `${this.#ids.get(app)}.execute-api.${REGION}.amazonaws.com`;
    return await requestApi({ endpoint: this.#endpoint, host, method, path: `/${STAGE}${path}`, body });
  }

  remove(): Promise<void> {
    return this.#releases.disposeAsync();
  }
}
