import { OpenAPIHono, type RouteConfig } from "@hono/zod-openapi";
import manifest from "../package.json" with { type: "json" };
import type { Log } from "./deps.ts";
import { newApp } from "./http.ts";
import { lambda } from "./lambda.ts";
import * as routes from "./routes.ts";

const INFO = {
  title: "Roger, serverless",
  version: manifest.version,
  description: "Partitions of jobs: start and stop them, set how many of their jobs run at once, enqueue jobs and find them again.",
  license: { name: "MIT", url: "https://opensource.org/license/mit" },
};

/** In AWS every call is signed, or has a token where a deployer asks for tokens; the local cloud lets everybody in. */
const SIGNED = { type: "apiKey", in: "header", name: "Authorization", description: "AWS Signature Version 4, service execute-api" } as const;
const TOKEN = {
  type: "http",
  scheme: "bearer",
  bearerFormat: "JWT",
  description: "Its claim names the partitions that its bearer may touch",
} as const;

/** The whole API as an OpenAPI 3.1 document, made of the same schemas that check its requests. */
export function openapiDocument(): object {
  const app = new OpenAPIHono();
  for (const [operationId, route] of Object.entries<RouteConfig>(routes)) app.openAPIRegistry.registerPath({ operationId, ...route });
  app.openAPIRegistry.registerComponent("securitySchemes", "signed", SIGNED);
  app.openAPIRegistry.registerComponent("securitySchemes", "token", TOKEN);
  return app.getOpenAPI31Document({ openapi: "3.1.0", info: INFO, servers: [{ url: "/" }], security: [{ signed: [] }, { token: [] }, {}] });
}

export function openapiApp({ log }: { readonly log: Log }): OpenAPIHono {
  const app = newApp(log);
  let document: object | undefined;
  app.get("/openapi.json", (c) => {
    document ??= openapiDocument();
    return c.json(document);
  });
  return app;
}

export const handler = lambda(openapiApp);
