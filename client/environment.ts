import { InvalidInput } from "../core/contract/errors.ts";
import { MOST_DRAIN_MS } from "../core/contract/limits.ts";
import { checkPool, DEFAULT_POOL } from "../core/contract/names.ts";
import type { PoolBounds } from "../core/partition/desired-tasks.ts";

/**
 * What a deployed process is told by its environment. This file and local/environment.ts are the only two that read it.
 *
 * | variable | who | meaning |
 * |---|---|---|
 * | `ROGER_TABLE` | all | the DynamoDB table; default `roger` |
 * | `ROGER_AMQP_URL` | worker, `functions/queues.ts`; applications, if they are to publish themselves | `amqp://` or `amqps://` URL of RabbitMQ |
 * | `ROGER_POOL` | worker | the pool it belongs to; default `default` |
 * | `ROGER_SLOTS` | worker | jobs it runs at once; default 10 |
 * | `ROGER_JOBS` | worker, `functions/jobs.ts`, `functions/queues.ts` | a module that exports job definitions; default `#jobs` |
 * | `ROGER_HEALTH_PORT` | worker | port of `GET /health`; default 8080, 0 takes a free one |
 * | `ROGER_DRAIN_SECONDS` | worker | a graceful stop lets jobs run on for this long; default 90, which is also the most: the rest of ECS's `stopTimeout` is for the other steps of a stop |
 * | `ROGER_REPORT_SECONDS` | worker | how often it tells, at most, what it runs and how long its queues are; default 15 |
 * | `ROGER_LOG_LEVEL` | worker, functions | default `info` |
 * | `ROGER_CLUSTER` | functions | the ECS cluster that the services live in |
 * | `ROGER_TENANT_CLAIM` | functions | the claim of a token that names the partitions its bearer may touch; default: the API's front door has decided |
 * | `ROGER_SERVICES` | functions | JSON `[{"pool","service","slots","min","max"}]`: what scaling may do, and which pools there are; default: nothing is scaled, and any pool may be named |
 * | `ROGER_API` | cli, applications | base URL of the HTTP API; default `http://127.0.0.1:3000` |
 * | `ROGER_API_TOKEN` | cli, applications | a bearer token, for an API that asks for tokens; default: none |
 * | `ROGER_API_REGION` | cli, applications | sign with AWS credentials for this region, where the API has a domain of its own; default: an `execute-api` URL says it |
 * | `ECS_AGENT_URI`, `ECS_CONTAINER_METADATA_URI_V4` | worker | set by ECS |
 * | `AWS_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`, `AWS_ENDPOINT_URL_ECS`, … | all | read by the AWS SDK itself |
 */
type Environment = Readonly<Record<string, string | undefined>>;

export interface WorkerEnvironment {
  readonly table: string;
  readonly amqpUrl: string;
  readonly pool: string;
  readonly slots: number;
  readonly jobs: string;
  readonly healthPort: number;
  readonly drainMs: number;
  readonly reportMs: number;
  readonly logLevel: string;
  readonly ecsAgentUri: string | undefined;
  readonly ecsMetadataUri: string | undefined;
}

/** @throws InvalidInput naming the variable */
export function workerEnvironment(env: Environment = process.env): WorkerEnvironment {
  return {
    table: env.ROGER_TABLE ?? "roger",
    amqpUrl: required(env, "ROGER_AMQP_URL"),
    pool: checkPool(env.ROGER_POOL ?? DEFAULT_POOL, "ROGER_POOL"),
    slots: whole(env, "ROGER_SLOTS", 10, 1, 1_000),
    jobs: nonEmpty(env.ROGER_JOBS) ?? "#jobs",
    healthPort: whole(env, "ROGER_HEALTH_PORT", 8080, 0, 65_535),
    drainMs: whole(env, "ROGER_DRAIN_SECONDS", 90, 0, MOST_DRAIN_MS / 1000) * 1000,
    reportMs: whole(env, "ROGER_REPORT_SECONDS", 15, 1, 60) * 1000,
    logLevel: env.ROGER_LOG_LEVEL ?? "info",
    ecsAgentUri: env.ECS_AGENT_URI,
    ecsMetadataUri: env.ECS_CONTAINER_METADATA_URI_V4,
  };
}

/** What `connect` is to be given: the table, and RabbitMQ's URL if there is one. */
export function clientEnvironment(env: Environment = process.env): { readonly table: string; readonly amqpUrl?: string } {
  const { ROGER_TABLE: table = "roger", ROGER_AMQP_URL: amqpUrl = "" } = env;
  return { table, ...(amqpUrl === "" ? {} : { amqpUrl }) };
}

/** One ECS service that scaling looks after. */
export interface PoolService extends PoolBounds {
  readonly service: string;
}

export interface FunctionsEnvironment {
  readonly table: string;
  readonly jobs: string;
  readonly logLevel: string;
  /** Only `functions/queues.ts` needs it. */
  readonly amqpUrl: string | undefined;
  readonly cluster: string | undefined;
  readonly tenantClaim: string | undefined;
  readonly services: readonly PoolService[];
}

/** @throws InvalidInput naming the variable */
export function functionsEnvironment(env: Environment = process.env): FunctionsEnvironment {
  return {
    table: env.ROGER_TABLE ?? "roger",
    jobs: nonEmpty(env.ROGER_JOBS) ?? "#jobs",
    logLevel: env.ROGER_LOG_LEVEL ?? "info",
    amqpUrl: env.ROGER_AMQP_URL,
    cluster: env.ROGER_CLUSTER,
    tenantClaim: env.ROGER_TENANT_CLAIM,
    services: services(env.ROGER_SERVICES ?? "[]"),
  };
}

/** Where the HTTP API is. @throws InvalidInput naming the variable */
export function apiUrl(env: Environment = process.env): string {
  const url = env.ROGER_API ?? "http://127.0.0.1:3000";
  if (!URL.canParse(url)) throw new InvalidInput("ROGER_API", `"${url}" is no URL`);
  return url.replace(/\/+$/, "");
}

/** How calls of the API say who makes them. */
export function apiAuth(env: Environment = process.env): { readonly token: string | undefined; readonly region: string | undefined } {
  return { token: nonEmpty(env.ROGER_API_TOKEN), region: nonEmpty(env.ROGER_API_REGION) };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === "" ? undefined : text;
}

function required(env: Environment, name: string): string {
  const value = env[name];
  if (value === undefined || value === "") throw new InvalidInput(name, "must be set");
  return value;
}

function whole(env: Environment, name: string, otherwise: number, min: number, max: number): number {
  const text = env[name];
  if (text === undefined || text === "") return otherwise;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min || value > max) throw new InvalidInput(name, `"${text}" is no whole number from ${min} to ${max}`);
  return value;
}

function services(text: string): PoolService[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new InvalidInput("ROGER_SERVICES", `not JSON (${cause instanceof Error ? cause.message : String(cause)})`);
  }
  if (!Array.isArray(value)) throw new InvalidInput("ROGER_SERVICES", "not a list");
  return value.map((entry: PoolService, i) => {
    const field = `ROGER_SERVICES[${i}]`;
    checkPool(entry.pool, `${field}.pool`);
    if (typeof entry.service !== "string" || entry.service === "") throw new InvalidInput(`${field}.service`, "must name an ECS service");
    for (const key of ["slots", "min", "max"] as const) {
      if (!Number.isSafeInteger(entry[key]) || entry[key] < 0) throw new InvalidInput(`${field}.${key}`, "must be a whole number from 0");
    }
    if (entry.slots < 1) throw new InvalidInput(`${field}.slots`, "must be at least 1");
    if (entry.min > entry.max) throw new InvalidInput(`${field}.min`, "must not be above max");
    return entry;
  });
}
