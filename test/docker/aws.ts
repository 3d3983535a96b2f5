import { setTimeout as sleep } from "node:timers/promises";
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { describeError } from "../../core/contract/errors.ts";

/** The last that runs without an account, and one of those that ask for it and have ECS and HTTP APIs, as far as it pays for them. */
const FREE_IMAGE = "localstack/localstack:4.14.0";
const ACCOUNT_IMAGE = "localstack/localstack:2026.08.3";
const PORT = 4566;
const START_MS = 240_000;
const POLLS = 240;
const POLL_MS = 500;

export const REGION = "us-east-1";

/** An emulator of AWS, whoever runs it. */
export interface Aws {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** What every client of it needs. */
export function clientOf(endpoint: string) {
  return { endpoint, region: REGION, credentials: { accessKeyId: "test", secretAccessKey: "test" }, maxAttempts: 1 } as const;
}

/** The emulator that `AWS_ENDPOINT_URL` names: used as it is, and left running. */
export function runningAws(): Aws | undefined {
  const endpoint = process.env.AWS_ENDPOINT_URL || undefined;
  return endpoint === undefined ? undefined : { endpoint, stop: async () => undefined };
}

/** A DynamoDB and nothing else: as the SDK reads it, `AWS_ENDPOINT_URL_DYNAMODB` names that. */
export function runningDynamoDb(): string | undefined {
  return process.env.AWS_ENDPOINT_URL_DYNAMODB || undefined;
}

/**
 * LocalStack in a container, or what `ROGER_LOCALSTACK_IMAGE` names instead: any image that speaks like AWS at port 4566.
 * It is given Docker's socket, because it runs each Lambda and each task in a container of its own.
 * @throws Error when it doesn't answer in time
 */
export async function startAws(): Promise<Aws> {
  const { GenericContainer, getContainerRuntimeClient } = await import("testcontainers");
  const { info } = await getContainerRuntimeClient();
  const token = process.env.LOCALSTACK_AUTH_TOKEN || undefined;
  const container = await new GenericContainer(process.env.ROGER_LOCALSTACK_IMAGE || (token === undefined ? FREE_IMAGE : ACCOUNT_IMAGE))
    .withExposedPorts(PORT)
    .withBindMounts([{ source: info.containerRuntime.remoteSocketPath, target: "/var/run/docker.sock" }])
    .withEnvironment(token === undefined ? {} : { LOCALSTACK_AUTH_TOKEN: token })
    .withStartupTimeout(START_MS)
    .start();
  const aws = { endpoint: `http://${container.getHost()}:${container.getMappedPort(PORT)}`, stop: async () => void (await container.stop()) };
  try {
    await untilItAnswers(aws.endpoint);
  } catch (error) {
    await aws.stop();
    throw error;
  }
  return aws;
}

/** Its port is open before it answers. */
async function untilItAnswers(endpoint: string): Promise<void> {
  const client = new DynamoDBClient(clientOf(endpoint));
  try {
    for (let poll = 1; ; poll++) {
      try {
        await client.send(new ListTablesCommand());
        return;
      } catch (cause) {
        if (poll === POLLS) throw new Error(`DynamoDB at ${endpoint} does not answer: ${describeError(cause).message}`, { cause });
      }
      await sleep(POLL_MS);
    }
  } finally {
    client.destroy();
  }
}
