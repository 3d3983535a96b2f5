import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CreateRoleCommand, DeleteRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import {
  AddPermissionCommand,
  CreateFunctionCommand,
  DeleteFunctionCommand,
  InvokeCommand,
  LambdaClient,
  type Runtime,
  waitUntilFunctionActiveV2,
} from "@aws-sdk/client-lambda";
import { zipSync } from "fflate";
import { API_ROUTES, type ApiApp } from "../../core/contract/api-routes.ts";
import { APP_ACCESS, SCALER_ACCESS } from "../../infra/access.ts";
import { StageGraph } from "../infra/graph/graph.ts";
import { clientOf } from "./aws.ts";

/** Emulators download the runtime's image for the first function. */
const ACTIVE_SECONDS = 300;

/** A function, and the SST component that makes it: as infra/ names them. */
const COMPONENTS: Readonly<Record<ApiApp | "scale", string>> = {
  partitions: "Partitions",
  queues: "Queues",
  jobs: "Jobs",
  tasks: "Tasks",
  openapi: "Openapi",
  scale: "Scaler",
};

/** What functions are told, each only what infra/ tells it. */
export interface Told {
  readonly table: string;
  /** RabbitMQ's, as containers have it. */
  readonly amqpUrl: string;
  /** Cluster and services. @default nothing is scaled */
  readonly scaling?: Readonly<Record<string, string>>;
}

export interface Lambda {
  readonly name: string;
  readonly arn: string;
}

/** Bundles as Lambdas of an emulator, each with a role of its own. */
export class Lambdas {
  readonly #run = randomUUID().slice(0, 8);
  readonly #graph = new StageGraph("dev");
  readonly #iam: IAMClient;
  readonly #lambda: LambdaClient;
  readonly #releases = new AsyncDisposableStack();

  constructor(endpoint: string) {
    this.#iam = this.#releases.adopt(new IAMClient(clientOf(endpoint)), async (client) => client.destroy());
    this.#lambda = this.#releases.adopt(new LambdaClient(clientOf(endpoint)), async (client) => client.destroy());
  }

  /** Every app of the API. */
  async createApps(told: Told): Promise<ReadonlyMap<ApiApp, Lambda>> {
    const apps = new Map<ApiApp, Lambda>();
    for (const { app } of API_ROUTES) if (!apps.has(app)) apps.set(app, await this.#create(app, told));
    return apps;
  }

  async createScaler(told: Told): Promise<Lambda> {
    return await this.#create("scale", told);
  }

  async #create(app: ApiApp | "scale", { table, amqpUrl, scaling }: Told): Promise<Lambda> {
    const access = app === "scale" ? SCALER_ACCESS : APP_ACCESS[app];
    const name = `roger-${app}-${this.#run}`;
    const lambdaOnly = { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" };
    const trust = JSON.stringify({ Version: "2012-10-17", Statement: [lambdaOnly] });
    const { Role } = await this.#iam.send(new CreateRoleCommand({ RoleName: name, AssumeRolePolicyDocument: trust }));
    this.#releases.defer(async () => void (await this.#iam.send(new DeleteRoleCommand({ RoleName: name }))));
    const { FunctionArn: arn = "" } = await this.#lambda.send(
      new CreateFunctionCommand({
        FunctionName: name,
        Role: Role?.Arn,
        Runtime: this.#graph.one("aws:lambda/function:Function", `${COMPONENTS[app]}Function`).runtime as Runtime,
        // Emulators run it on this machine.
        Architectures: [process.arch === "arm64" ? "arm64" : "x86_64"],
        Handler: "bundle.handler",
        Code: { ZipFile: zipSync({ "bundle.mjs": await readFile(join(this.#bundle(app), "bundle.mjs")) }) },
        Environment: {
          Variables: {
            ...(access.table.length > 0 ? { ROGER_TABLE: table } : {}),
            ...(access.broker ? { ROGER_AMQP_URL: amqpUrl } : {}),
            ...(access.scales ? scaling : {}),
          },
        },
        Timeout: 30,
        MemorySize: 512,
      }),
    );
    this.#releases.defer(async () => void (await this.#lambda.send(new DeleteFunctionCommand({ FunctionName: name }))));
    await waitUntilFunctionActiveV2({ client: this.#lambda, maxWaitTime: ACTIVE_SECONDS }, { FunctionName: name });
    return { name, arn };
  }

  #bundle(app: ApiApp | "scale"): string {
    const built = this.#graph.builds.find(({ handler }) => handler === `functions/${app}.handler`);
    if (built === undefined) throw new Error(`functions/${app}.ts has not been bundled`);
    return built.directory;
  }

  /** Lets API Gateway invoke it. */
  async openToApis({ name }: Lambda): Promise<void> {
    const allowed = { StatementId: "api", Action: "lambda:InvokeFunction", Principal: "apigateway.amazonaws.com" };
    await this.#lambda.send(new AddPermissionCommand({ FunctionName: name, ...allowed }));
  }

  /** @throws Error with what the function has thrown */
  async invoke({ name }: Lambda, event: object): Promise<void> {
    const { FunctionError, Payload } = await this.#lambda.send(
      new InvokeCommand({ FunctionName: name, Payload: Buffer.from(JSON.stringify(event)) }),
    );
    if (FunctionError !== undefined) throw new Error(`${name}: ${FunctionError}: ${Buffer.from(Payload ?? []).toString()}`);
  }

  /** What was last made goes first. */
  remove(): Promise<void> {
    return this.#releases.disposeAsync();
  }
}
