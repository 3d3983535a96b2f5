import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import {
  APIGatewayClient,
  CreateDeploymentCommand,
  CreateResourceCommand,
  CreateRestApiCommand,
  DeleteRestApiCommand,
  PutIntegrationCommand,
  PutMethodCommand,
} from "@aws-sdk/client-api-gateway";
import { CreateRoleCommand, DeleteRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import {
  AddPermissionCommand,
  CreateFunctionCommand,
  DeleteFunctionCommand,
  LambdaClient,
  type Runtime,
  waitUntilFunctionActiveV2,
} from "@aws-sdk/client-lambda";
import { zipSync } from "fflate";
import { clientOf, REGION } from "./aws.ts";

const STAGE = "test";
/** Emulators download the runtime's image for the first function. */
const ACTIVE_SECONDS = 300;

export interface App {
  /** No other deployment there may have it. */
  readonly name: string;
  /** With bundle.mjs in it, which exports `handler`. */
  readonly directory: string;
  readonly runtime: Runtime;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number | undefined;
  readonly body: unknown;
}

/**
 * Bundles as Lambdas of an emulator, each behind a REST API of its own that hands it every path: the older kind of API
 * (payload 1.0), because it is the one that emulators have for nothing. Which path belongs to which Lambda is
 * test/infra's matter.
 */
export class Deployment {
  readonly #endpoint: URL;
  readonly #iam: IAMClient;
  readonly #lambda: LambdaClient;
  readonly #gateway: APIGatewayClient;
  readonly #releases = new AsyncDisposableStack();

  constructor(endpoint: string) {
    this.#endpoint = new URL(endpoint);
    this.#iam = this.#releases.adopt(new IAMClient(clientOf(endpoint)), async (client) => client.destroy());
    this.#lambda = this.#releases.adopt(new LambdaClient(clientOf(endpoint)), async (client) => client.destroy());
    this.#gateway = this.#releases.adopt(new APIGatewayClient(clientOf(endpoint)), async (client) => client.destroy());
  }

  /** @returns the id of the API in front of it */
  async deploy({ name, directory, runtime, environment }: App): Promise<string> {
    const arn = await this.#createFunction({ name, directory, runtime, environment });
    const { id: restApiId = "", rootResourceId: parentId } = await this.#gateway.send(new CreateRestApiCommand({ name }));
    this.#releases.defer(async () => void (await this.#gateway.send(new DeleteRestApiCommand({ restApiId }))));
    const { id: resourceId } = await this.#gateway.send(new CreateResourceCommand({ restApiId, parentId, pathPart: "{proxy+}" }));
    const method = { restApiId, resourceId, httpMethod: "ANY" };
    await this.#gateway.send(new PutMethodCommand({ ...method, authorizationType: "NONE" }));
    const uri = `arn:aws:apigateway:${REGION}:lambda:path/2015-03-31/functions/${arn}/invocations`;
    await this.#gateway.send(new PutIntegrationCommand({ ...method, type: "AWS_PROXY", integrationHttpMethod: "POST", uri }));
    const allowed = { StatementId: "api", Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com" };
    await this.#lambda.send(new AddPermissionCommand({ FunctionName: name, ...allowed }));
    await this.#gateway.send(new CreateDeploymentCommand({ restApiId, stageName: STAGE }));
    return restApiId;
  }

  async #createFunction({ name, directory, runtime, environment }: App): Promise<string> {
    const lambdaOnly = { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" };
    const trust = JSON.stringify({ Version: "2012-10-17", Statement: [lambdaOnly] });
    const { Role } = await this.#iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: trust }));
    this.#releases.defer(async () => void (await this.#iam.send(new DeleteRoleCommand({ RoleName: name }))));
    const { FunctionArn = "" } = await this.#lambda.send(
      new CreateFunctionCommand({
        FunctionName: name,
        Role: Role?.Arn,
        Runtime: runtime,
        // Emulators run it on this machine.
        Architectures: [process.arch === "arm64" ? "arm64" : "x86_64"],
        Handler: "bundle.handler",
        Code: { ZipFile: zipSync({ "bundle.mjs": await readFile(join(directory, "bundle.mjs")) }) },
        Environment: { Variables: { ...environment } },
        Timeout: 30,
        MemorySize: 512,
      }),
    );
    this.#releases.defer(async () => void (await this.#lambda.send(new DeleteFunctionCommand({ FunctionName: name }))));
    await waitUntilFunctionActiveV2({ client: this.#lambda, maxWaitTime: ACTIVE_SECONDS }, { FunctionName: name });
    return FunctionArn;
  }

  /**
   * A request by HTTP through an API, under the host name that it has in AWS: that is how emulators, too, tell APIs apart.
   * @throws Error when what comes back is no JSON
   */
  async ask(api: string, method: string, path: string, body?: object): Promise<Answer> {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const headers = {
      host: `${api}.execute-api.${REGION}.amazonaws.com`,
      ...(sent === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(sent) }),
    };
    const { hostname, port } = this.#endpoint;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const asked = request({ hostname, port, method, path: `/${STAGE}${path}`, headers }, (response) => {
      text(response)
        .then((answer) => resolve({ status: response.statusCode, body: JSON.parse(answer) }))
        .catch(reject);
    });
    asked.on("error", reject);
    asked.end(sent);
    return await promise;
  }

  /** What was last made goes first. */
  remove(): Promise<void> {
    return this.#releases.disposeAsync();
  }
}
