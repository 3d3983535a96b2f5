import type { TestProject } from "vitest/node";
import { startContainer, whyNoDocker } from "../../local/rabbitmq/docker.ts";
import { runningAws, runningDynamoDb, startAws } from "../docker/aws.ts";
import { whyOutOfReach } from "../docker/from-containers.ts";
import { whyNot } from "../docker/supported.ts";
import { setup as makeGraphs } from "./sst.ts";

/** What there is to test against: reasons, for people, why something is not there. */
export interface Missing {
  /** No container can be run. */
  readonly docker?: string | undefined;
  /** Not even a DynamoDB. */
  readonly dynamoDb?: string | undefined;
  /** Of DynamoDB. */
  readonly transactions?: string | undefined;
  readonly restApi?: string | undefined;
  readonly httpApi?: string | undefined;
  /** With an HTTP API before it. */
  readonly ecs?: string | undefined;
}

declare module "vitest" {
  interface ProvidedContext {
    /** Of test/docker. */
    missing: Missing;
    /** Of test/docker: an emulator of AWS, or a DynamoDB alone, unless it is missing. */
    awsEndpoint: string;
  }
}

/**
 * Starts RabbitMQ 4 and LocalStack once for all of test/docker. An emulator of AWS that runs already (`AWS_ENDPOINT_URL`), or
 * a DynamoDB (`AWS_ENDPOINT_URL_DYNAMODB`), goes before a container. Where Docker answers, a container that can't be started
 * is a failure and no reason to skip; so is an emulator that fails and does not say that it lacks something.
 */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const releases = new AsyncDisposableStack();
  try {
    const docker = await whyNoDocker();
    if (docker === undefined) {
      const rabbit = await startContainer((line) => project.vitest.logger.log(line));
      if (typeof rabbit === "string") throw new Error(`RabbitMQ 4 could not be started: ${rabbit}`);
      releases.defer(() => rabbit.stop());
      project.provide("amqpUrl", rabbit.url);
    }
    const missing: Missing = { docker, ...(await provideAws(project, releases, docker)) };
    project.provide("missing", missing);
    for (const reason of new Set(Object.values(missing))) if (reason !== undefined) project.vitest.logger.log(`skipped in test/docker: ${reason}`);
    return () => releases.disposeAsync();
  } catch (error) {
    await releases.disposeAsync();
    throw error;
  }
}

async function provideAws(project: TestProject, releases: AsyncDisposableStack, noDocker: string | undefined): Promise<Omit<Missing, "docker">> {
  const running = runningAws();
  const dynamoDb = runningDynamoDb();
  if (running === undefined && dynamoDb !== undefined) {
    project.provide("awsEndpoint", dynamoDb);
    const transactions = await whyNot("transactions", dynamoDb);
    return { transactions, ...withoutLambdas("AWS_ENDPOINT_URL_DYNAMODB names a DynamoDB, and AWS_ENDPOINT_URL no emulator of AWS") };
  }
  if (running === undefined && noDocker !== undefined) {
    const reason = `${noDocker} (and AWS_ENDPOINT_URL is not set)`;
    return { dynamoDb: reason, transactions: reason, ...withoutLambdas(reason) };
  }
  const aws = running ?? (await startAws());
  releases.defer(() => aws.stop());
  project.provide("awsEndpoint", aws.endpoint);
  // The Lambdas ask for a RabbitMQ, and that is in a container.
  const missing = noDocker === undefined ? await missingOf(aws.endpoint) : withoutLambdas(noDocker);
  if (Object.values(missing).includes(undefined)) releases.defer(await makeGraphs(project));
  return { transactions: await whyNot("transactions", aws.endpoint), ...missing };
}

function withoutLambdas(reason: string): Required<Pick<Missing, "restApi" | "httpApi" | "ecs">> {
  return { restApi: reason, httpApi: reason, ecs: reason };
}

async function missingOf(endpoint: string): Promise<Pick<Missing, "restApi" | "httpApi" | "ecs">> {
  const lambda = await whyNot("Lambda", endpoint);
  if (lambda !== undefined) return withoutLambdas(lambda);
  const httpApi = await whyNot("HTTP API", endpoint);
  return {
    restApi: await whyNot("REST API", endpoint),
    httpApi,
    ecs: (await whyNot("ECS", endpoint)) ?? httpApi ?? (await whyOutOfReach(endpoint)),
  };
}
