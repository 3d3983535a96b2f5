import {
  ApiGatewayV2Client,
  CreateApiCommand,
  CreateIntegrationCommand,
  CreateRouteCommand,
  CreateStageCommand,
  DeleteApiCommand,
} from "@aws-sdk/client-apigatewayv2";
import { API_ROUTES, type ApiApp, routeKey } from "../../core/contract/api-routes.ts";
import { type Answer, requestApi } from "./api-request.ts";
import { clientOf } from "./aws.ts";
import type { Lambda, Lambdas } from "./lambdas.ts";

/** The HTTP API (payload 2.0) with every route of ours, as infra/api.ts deploys it, but open to everybody. */
export class HttpApi {
  readonly #endpoint: string;
  readonly #gateway: ApiGatewayV2Client;
  readonly #releases = new AsyncDisposableStack();
  #host = "";

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
    this.#gateway = this.#releases.adopt(new ApiGatewayV2Client(clientOf(endpoint)), async (client) => client.destroy());
  }

  async create(name: string, lambdas: Lambdas, apps: ReadonlyMap<ApiApp, Lambda>): Promise<void> {
    const { ApiId, ApiEndpoint = "" } = await this.#gateway.send(new CreateApiCommand({ Name: name, ProtocolType: "HTTP" }));
    this.#releases.defer(async () => void (await this.#gateway.send(new DeleteApiCommand({ ApiId }))));
    // Emulators have it at a domain of their own, some leave the scheme out.
    this.#host = ApiEndpoint.replace(/^https?:\/\//, "");
    const targets = new Map<ApiApp, string>();
    for (const [app, lambda] of apps) {
      const { IntegrationId } = await this.#gateway.send(
        new CreateIntegrationCommand({ ApiId, IntegrationType: "AWS_PROXY", IntegrationUri: lambda.arn, PayloadFormatVersion: "2.0" }),
      );
      targets.set(app, `integrations/${IntegrationId}`);
      await lambdas.openToApis(lambda);
    }
    for (const route of API_ROUTES)
      await this.#gateway.send(
        new CreateRouteCommand({ ApiId, RouteKey: routeKey(route), Target: targets.get(route.app), AuthorizationType: "NONE" }),
      );
    await this.#gateway.send(new CreateStageCommand({ ApiId, StageName: "$default", AutoDeploy: true }));
  }

  async ask(method: string, path: string, body?: object): Promise<Answer> {
    return await requestApi({ endpoint: this.#endpoint, host: this.#host, method, path, body });
  }

  remove(): Promise<void> {
    return this.#releases.disposeAsync();
  }
}
