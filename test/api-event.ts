import { randomUUID } from "node:crypto";
import type { APIGatewayProxyEventV2 } from "aws-lambda";

/**
 * A request as API Gateway hands it to a Lambda: an HTTP API, payload version 2.0.
 * @param authorizer what the route's authorizer found out: `{ jwt: { claims, scopes } }`
 */
export function apiEvent(method: string, pathAndQuery: string, body?: object, authorizer?: object): APIGatewayProxyEventV2 {
  const [rawPath = "", rawQueryString = ""] = pathAndQuery.split("?");
  const domainName = "abcdef1234.execute-api.eu-west-1.amazonaws.com";
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString,
    ...(rawQueryString === "" ? {} : { queryStringParameters: Object.fromEntries(new URLSearchParams(rawQueryString)) }),
    headers: { host: domainName, "content-type": "application/json" },
    requestContext: {
      accountId: "123456789012",
      apiId: "abcdef1234",
      ...(authorizer === undefined ? {} : { authorizer }),
      domainName,
      domainPrefix: "abcdef1234",
      http: { method, path: rawPath, protocol: "HTTP/1.1", sourceIp: "203.0.113.7", userAgent: "test" },
      requestId: randomUUID(),
      routeKey: "$default",
      stage: "$default",
      time: "24/Nov/2026:04:00:00 +0000",
      timeEpoch: 1_795_492_800_000,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    isBase64Encoded: false,
  };
}
