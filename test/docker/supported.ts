import { APIGatewayClient, GetRestApisCommand } from "@aws-sdk/client-api-gateway";
import { ApiGatewayV2Client, GetApisCommand } from "@aws-sdk/client-apigatewayv2";
import { DynamoDBClient, ResourceNotFoundException, TransactGetItemsCommand } from "@aws-sdk/client-dynamodb";
import { ECSClient, ListClustersCommand } from "@aws-sdk/client-ecs";
import { LambdaClient, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { describeError } from "../../core/contract/errors.ts";
import { clientOf } from "./aws.ts";

/** What the tests use of AWS beyond DynamoDB's own items, and IAM, which every emulator of these has. */
export type AwsService = "transactions" | "Lambda" | "REST API" | "HTTP API" | "ECS";

type Config = ReturnType<typeof clientOf>;

interface Client {
  destroy(): void;
}

/** A question that changes nothing, for each of them. */
const QUESTIONS: Readonly<Record<AwsService, (config: Config) => Promise<unknown>>> = {
  transactions: (config) => using(new DynamoDBClient(config), askForTransactions),
  Lambda: (config) => using(new LambdaClient(config), (client) => client.send(new ListFunctionsCommand())),
  "REST API": (config) => using(new APIGatewayClient(config), (client) => client.send(new GetRestApisCommand())),
  "HTTP API": (config) => using(new ApiGatewayV2Client(config), (client) => client.send(new GetApisCommand())),
  ECS: (config) => using(new ECSClient(config), (client) => client.send(new ListClustersCommand())),
};

async function askForTransactions(client: DynamoDBClient): Promise<void> {
  const item = { TableName: "roger-there-is-none", Key: { pk: { S: "-" }, sk: { S: "-" } } };
  try {
    await client.send(new TransactGetItemsCommand({ TransactItems: [{ Get: item }] }));
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
  }
}

async function using<C extends Client>(client: C, ask: (client: C) => Promise<unknown>): Promise<unknown> {
  try {
    return await ask(client);
  } finally {
    client.destroy();
  }
}

/**
 * Why a service can't be tested at an endpoint, for people; undefined when it answers.
 * @throws Error when the endpoint does not say that it lacks the service, but fails
 */
export async function whyNot(service: AwsService, endpoint: string): Promise<string | undefined> {
  try {
    await QUESTIONS[service](clientOf(endpoint));
    return undefined;
  } catch (error) {
    const said = describeError(error).message.split("\n")[0];
    if (saysItLacks(error)) return `no ${service} at ${endpoint}: ${said}`;
    throw new Error(`${service} at ${endpoint}: ${said} (a DynamoDB alone is named by AWS_ENDPOINT_URL_DYNAMODB)`, { cause: error });
  }
}

/** Codes of AWS for a request that the endpoint has never heard of. */
const UNKNOWN = /^(UnknownOperation|UnsupportedOperation|NotImplemented|InvalidAction)(Exception|Error)?$/;
const NO_SUCH_THING = [404, 405, 501];

/**
 * Whether an endpoint has said in so many words that it does not have what it was asked for. n.b. nothing else may count as
 * that, or a broken emulator (and what we do wrong) would look like one that lacks something.
 */
function saysItLacks(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { $metadata } = error as Error & { readonly $metadata?: { readonly httpStatusCode?: number } };
  return UNKNOWN.test(error.name) || NO_SUCH_THING.includes($metadata?.httpStatusCode ?? 0);
}
