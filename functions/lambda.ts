import type { OpenAPIHono } from "@hono/zod-openapi";
import type { APIGatewayProxyEvent, APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from "aws-lambda";
import { handle, type LambdaEvent } from "hono/aws-lambda";
import { type FunctionsEnvironment, functionsEnvironment } from "../client/environment.ts";
import type { Problem } from "../client/views.ts";
import { systemClock } from "../core/contract/clock.ts";
import { describeError } from "../core/contract/errors.ts";
import { openDocument } from "../store/client.ts";
import { openStore } from "../store/store.ts";
import type { Deps } from "./deps.ts";
import { openServices } from "./ecs.ts";
import { openLog } from "./log.ts";
import { problemOf, RequestRefused } from "./problem.ts";
import { openScaler, type ScalerOptions } from "./scaler.ts";
import { guardTenants } from "./tenant.ts";

/** An HTTP API's request (payload 2.0), as infra deploys it, or a REST API's (payload 1.0), for those who have one already. */
export type ApiEvent = APIGatewayProxyEventV2 | APIGatewayProxyEvent;

export type LambdaHandler = (event: ApiEvent) => Promise<APIGatewayProxyStructuredResultV2>;

/** Everything an app of this Lambda needs, from its environment. */
export function lambdaDeps(environment: FunctionsEnvironment, more: Pick<ScalerOptions, "onPass"> = {}): Deps {
  const log = openLog(environment.logLevel);
  const store = openStore({ document: openDocument({}), table: environment.table, clock: systemClock });
  const bare = { store, clock: systemClock, log };
  if (environment.services.length === 0) return bare;
  const deps = { ...bare, pools: environment.services.map(({ pool }) => pool) };
  if (environment.cluster === undefined) return deps;
  const services = openServices(environment.cluster);
  return { ...deps, scaler: openScaler({ ...deps, ...more, services, bounds: environment.services }) };
}

/**
 * Makes a Hono app a Lambda behind API Gateway. What it needs is made at the first invocation and kept;
 * if that fails, the next invocation tries again.
 */
export function lambda(app: (deps: Deps, environment: FunctionsEnvironment) => OpenAPIHono | Promise<OpenAPIHono>): LambdaHandler {
  let opened: Promise<ReturnType<typeof handle>> | undefined;
  const open = async () => {
    const environment = functionsEnvironment();
    const made = await app(lambdaDeps(environment), environment);
    return environment.tenantClaim === undefined ? handle(made) : handle(guardTenants(made, environment.tenantClaim));
  };
  return async (event) => {
    if (leadsElsewhere("rawPath" in event ? event.rawPath : event.path))
      return answer(problemOf(new RequestRefused("invalid_request", "a path has no segments . and ..", "path")));
    try {
      opened ??= open();
      return (await (
        await opened
      )(normalise(event))) as APIGatewayProxyStructuredResultV2;
    } catch (error) {
      opened = undefined;
      openLog("error").error("the function could not be set up", { request_id: event.requestContext.requestId, error: describeError(error) });
      // Whatever it was, it is ours: a bad environment must not look like a bad request.
      return answer({ ...problemOf(undefined), request_id: event.requestContext.requestId });
    }
  };
}

function answer(problem: Problem): APIGatewayProxyStructuredResultV2 {
  return { statusCode: problem.status, headers: { "content-type": "application/problem+json" }, body: JSON.stringify(problem) };
}

/**
 * Whether a URL would resolve the path to another one. API Gateway has authorised the path as it came: with
 * `/partitions/mine/jobs/../../yours/jobs` a tenant would get into another's partition.
 */
function leadsElsewhere(path: string): boolean {
  return path.split(/[/\\]/).some((segment) => /^(\.|%2e){1,2}$/i.test(segment.replace(/[\t\n\r]/g, "")));
}

/**
 * Takes what API Gateway does to a path back: a named stage stands in front of it, and `%3F`, `%23` and `%5C` may come
 * decoded, which a URL would read as the end of the path; so may white space, which it would drop. A body of GET or
 * HEAD, which a Request can't have, is dropped.
 */
function normalise(event: ApiEvent): LambdaEvent {
  const { body, ...rest } = event;
  const method = "rawPath" in event ? event.requestContext.http.method : event.httpMethod;
  const bodiless = method === "GET" || method === "HEAD" || body === undefined || body === null;
  const normal = { ...rest, ...(bodiless ? {} : { body }), ...pathOf(event) };
  // Hono has types of its own for the same events; they differ in what may be absent.
  return normal as unknown as LambdaEvent;
}

function pathOf(event: ApiEvent): { readonly rawPath: string } | { readonly path: string } {
  const sealed = (path: string): string => path.replace(/[?#\\\s]/g, encodeURIComponent);
  // A REST API leaves its stage out by itself.
  if (!("rawPath" in event)) return { path: sealed(event.path) };
  const { stage } = event.requestContext;
  const prefix = `/${stage}/`;
  return { rawPath: sealed(stage !== "$default" && event.rawPath.startsWith(prefix) ? event.rawPath.slice(prefix.length - 1) : event.rawPath) };
}
