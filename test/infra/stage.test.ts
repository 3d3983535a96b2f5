import { describe, expect, it } from "vitest";
import { TABLE } from "../../core/contract/table.ts";
import { StageGraph } from "./graph/graph.ts";

const production = new StageGraph("production");
const dev = new StageGraph("dev");
const custom = new StageGraph("custom");

describe("the app", () => {
  it("pins SST and its providers, and keeps production's state", () => {
    expect(production.app).toMatchObject({ name: "roger", version: "4.17.1", removal: "retain", protect: true });
    expect(production.app.providers).toEqual({ aws: { region: "eu-west-1", version: "7.20.0" }, random: "4.16.6" });
    expect(dev.app).toMatchObject({ removal: "remove", protect: false });
  });
});

describe("the table", () => {
  const table = production.one("aws:dynamodb/table:Table");

  it("has the keys, the index and the TTL of the code, and point-in-time recovery", () => {
    expect(table).toMatchObject({
      hashKey: TABLE.key.hash,
      rangeKey: TABLE.key.range,
      billingMode: "PAY_PER_REQUEST",
      ttl: { attributeName: TABLE.ttl, enabled: true },
      pointInTimeRecovery: { enabled: true },
      globalSecondaryIndexes: [{ name: "due", hashKey: "due_pk", rangeKey: "due", projectionType: "KEYS_ONLY" }],
    });
    expect(table.attributes).toEqual(Object.entries(TABLE.fields).map(([name, type]) => ({ name, type: type === "number" ? "N" : "S" })));
  });

  it("can't be deleted in production, and outlives the stage there", () => {
    expect(table.deletionProtectionEnabled).toBe(true);
    expect(production.options.find(({ name }) => name === "StateTable")?.retainOnDelete).toBe(true);
    expect(dev.one("aws:dynamodb/table:Table").deletionProtectionEnabled).toBe(false);
    expect(dev.options.find(({ name }) => name === "StateTable")?.retainOnDelete).toBeUndefined();
  });
});

describe("the network", () => {
  it("has no NAT, and a gateway to DynamoDB on every route table", () => {
    expect(production.of("aws:ec2/natGateway:NatGateway")).toEqual([]);
    expect(production.of("aws:ec2/instance:Instance")).toEqual([]);
    const endpoint = production.one("aws:ec2/vpcEndpoint:VpcEndpoint");
    expect(endpoint).toMatchObject({ vpcEndpointType: "Gateway", serviceName: "com.amazonaws.eu-west-1.dynamodb" });
    expect(endpoint.routeTableIds).toEqual(
      production
        .of("aws:ec2/routeTable:RouteTable")
        .map(({ id }) => id)
        .toSorted(byName(endpoint.routeTableIds)),
    );
  });

  it("lets nobody in but tasks and the queues function, and these to the broker's port only", () => {
    for (const name of ["Workers", "Functions"]) expect(production.one("aws:ec2/securityGroup:SecurityGroup", name).ingress).toBeUndefined();
    // A rule may be a resource of its own, too.
    for (const type of ["aws:ec2/securityGroupRule:SecurityGroupRule", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"])
      expect(production.of(type), type).toEqual([]);
    const amqps = { protocol: "tcp", fromPort: 5671, toPort: 5671, securityGroups: ["Workers-id", "Functions-id"] };
    expect(production.one("aws:ec2/securityGroup:SecurityGroup", "BrokerAccess").ingress).toEqual([amqps]);
  });
});

describe("the broker", () => {
  it("is a private cluster over three zones in production, and one small node elsewhere", () => {
    const common = { engineType: "RabbitMQ", engineVersion: "4.2", publiclyAccessible: false, autoMinorVersionUpgrade: true };
    const cluster = production.one("aws:mq/broker:Broker");
    expect(cluster).toMatchObject({ ...common, deploymentMode: "CLUSTER_MULTI_AZ", hostInstanceType: "mq.m7g.large" });
    expect(cluster.subnetIds).toEqual(["NetPrivateSubnet1-id", "NetPrivateSubnet2-id", "NetPrivateSubnet3-id"]);
    const single = dev.one("aws:mq/broker:Broker");
    expect(single).toMatchObject({ ...common, deploymentMode: "SINGLE_INSTANCE", hostInstanceType: "mq.m7g.medium" });
    expect(single.subnetIds).toEqual(["NetPrivateSubnet1-id"]);
  });

  it("is not replaced by a deployment in production: its queues would be gone", () => {
    const protect = (graph: StageGraph) => graph.options.find(({ type }) => type === "aws:mq/broker:Broker")?.protect;
    expect([protect(production), protect(dev)]).toEqual([true, false]);
  });

  it("may be anybody's: then none is made, and nothing runs in the VPC but tasks", () => {
    expect(custom.of("aws:mq/broker:Broker")).toEqual([]);
    for (const lambda of custom.of("aws:lambda/function:Function")) expect(lambda.inputs.vpcConfig, lambda.name).toBeUndefined();
    expect(custom.one("aws:ssm/parameter:Parameter").value).toBe("amqps://somebody:the-broker-password@broker.example.com");
  });

  it.each([
    ["production", production, "amqps://roger:the-broker-password@b-1.mq.eu-west-1.on.aws:5671"],
    ["custom", custom, "amqps://somebody:the-broker-password@broker.example.com"],
  ])("its URL is a secret wherever it is (%s)", (_stage, graph, url) => {
    expect(graph.one("aws:ssm/parameter:Parameter")).toMatchObject({ type: "SecureString", value: url });
    expect(graph.shown.includes("the-broker-password")).toBe(false);
    // Who may look at a function's settings sees only what the key, too, lets him.
    expect(graph.one("aws:lambda/function:Function", "QueuesFunction").kmsKeyArn).toContain("EnvironmentKey");
  });
});

function byName(order: readonly string[]) {
  return (a: string, b: string) => order.indexOf(a) - order.indexOf(b);
}
