import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { v4 } from "uuid";
import { describeError } from "../core/contract/errors.ts";
import type { Log } from "./deps.ts";
import { problemOf, problemResponse, RequestRefused, refusalOf } from "./problem.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

/** An app whose every failure is a problem+json answer, whichever of its parts it comes from. */
export function newApp(log: Log): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result) => {
      if (!result.success) throw refusalOf(result.error.issues);
    },
  });
  app.onError((error, c) => answerError(error, c, log));
  app.notFound((c) => answerNotFound(app, c));
  return app;
}

function answerError(error: Error, c: Context, log: Log): Response {
  const problem = problemOf(error);
  if (problem.status < 500) return problemResponse(problem);
  const requestId = requestIdOf(c);
  log.error(problem.code === "internal" ? "request failed" : "backend unavailable", {
    request_id: requestId,
    method: c.req.method,
    path: c.req.path,
    code: problem.code,
    error: describeError(error),
    cause: error.cause === undefined ? undefined : describeError(error.cause),
  });
  return problemResponse({ ...problem, request_id: requestId });
}

/** API Gateway's own id where there is one, so that its access log and ours meet. */
function requestIdOf(c: Context): string {
  const given: unknown = c.env?.requestContext?.requestId;
  return typeof given === "string" ? given : v4();
}

/** A known path asked with the wrong method tells which ones it has. */
function answerNotFound(app: OpenAPIHono, c: Context): Response {
  const allowed = METHODS.filter((method) => app.router.match(method, c.req.path)[0].length > 0);
  if (allowed.length === 0)
    return problemResponse(problemOf(new RequestRefused("not_found", "there is nothing here; GET /openapi.json lists what there is")));
  const allow = allowed.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  return problemResponse(problemOf(new RequestRefused("method_not_allowed", `this path takes ${allow}`)), { allow });
}
