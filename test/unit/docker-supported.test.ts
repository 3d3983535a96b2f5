import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { gatewayOf } from "../docker/from-containers.ts";
import { whyNot } from "../docker/supported.ts";

/** An endpoint that has one answer to everything. */
async function endpoint(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status, { "content-type": "application/json" }).end(body));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const fault = (type: string, message: string): string => JSON.stringify({ __type: type, message });

describe("what an endpoint lacks", () => {
  it.each<readonly [string, number, string, string]>([
    [
      "LocalStack without a licence for it",
      501,
      fault(
        "InternalFailure",
        "The API for service 'ecs' is either not included in your current license plan or has not yet been emulated by LocalStack.",
      ),
      "not included in your current license plan",
    ],
    ["a DynamoDB that is asked for ECS", 400, fault("com.amazon.coral.service#UnknownOperationException", "no such operation"), "no such operation"],
    ["a server that has no such path", 404, "<html>", "not valid JSON"],
  ])("is its own word: %s", async (_, status, body, said) => {
    const url = await endpoint(status, body);
    expect(await whyNot("ECS", url)).toMatch(new RegExp(`^no ECS at ${url}: .*${said}`));
  });

  it.each<readonly [string, number, string]>([
    ["it breaks down", 500, fault("InternalFailure", "out of order")],
    ["it refuses the credentials", 403, fault("UnrecognizedClientException", "out of order")],
    ["it dislikes the request", 400, fault("InvalidParameterException", "out of order")],
  ])("is not why it fails when %s", async (_, status, body) => {
    await expect(whyNot("ECS", await endpoint(status, body))).rejects.toThrow(/ECS at .*: out of order.*AWS_ENDPOINT_URL_DYNAMODB/);
  });

  it("is not why nobody listens", async () => {
    await expect(whyNot("Lambda", "http://127.0.0.1:1")).rejects.toThrow("ECONNREFUSED");
  });

  it("is nothing when it answers", async () => {
    expect(await whyNot("ECS", await endpoint(200, JSON.stringify({ clusterArns: [] })))).toBeUndefined();
    expect(await whyNot("HTTP API", await endpoint(200, JSON.stringify({ items: [] })))).toBeUndefined();
    expect(await whyNot("REST API", await endpoint(200, JSON.stringify({ item: [] })))).toBeUndefined();
    expect(await whyNot("Lambda", await endpoint(200, JSON.stringify({ Functions: [] })))).toBeUndefined();
  });
});

describe("this machine, as containers reach it", () => {
  const bridge = (...Config: readonly { Gateway?: string; Subnet?: string }[]) => ({ IPAM: { Config } });

  it("is the gateway of Docker's network, which is the first address where Docker does not say it", () => {
    expect(gatewayOf(bridge({ Subnet: "172.17.0.0/16", Gateway: "172.17.0.9" }))).toBe("172.17.0.9");
    expect(gatewayOf(bridge({ Subnet: "172.17.0.0/16" }))).toBe("172.17.0.1");
    expect(gatewayOf(bridge({ Subnet: "fd00::/64" }, { Subnet: "10.1.2.0/24" }))).toBe("10.1.2.1");
  });

  it("is no loopback when there is no such network", () => {
    expect(() => gatewayOf({})).toThrow("no IPv4 gateway");
  });
});
