import { describe, expect, it } from "vitest";
import { functionsEnvironment } from "../../client/environment.ts";
import { API_ROUTES, routeKey } from "../../core/contract/api-routes.ts";
import { StageGraph } from "./graph/graph.ts";

const production = new StageGraph("production");
const custom = new StageGraph("custom");

const lambdaOf = (graph: StageGraph, name: string) => graph.one("aws:lambda/function:Function", `${name}Function`);

describe("routes", () => {
  const routes = production.of("aws:apigatewayv2/route:Route");

  it("are those of the list, each to the Lambda that the list names", () => {
    expect(routes.map(({ inputs }) => inputs.routeKey).toSorted()).toEqual(API_ROUTES.map(routeKey).toSorted());
    const integrations = new Map(production.of("aws:apigatewayv2/integration:Integration").map(({ id, inputs }) => [`integrations/${id}`, inputs]));
    for (const route of API_ROUTES) {
      const { target } = routes.find(({ inputs }) => inputs.routeKey === routeKey(route))?.inputs ?? {};
      const { integrationUri, payloadFormatVersion } = integrations.get(target) ?? {};
      expect([String(integrationUri).toLowerCase(), payloadFormatVersion], routeKey(route)).toEqual([
        expect.stringContaining(`:${route.app}function`),
        "2.0",
      ]);
    }
  });

  it("are all authorised: by AWS credentials, or by tokens if a deployer wants them", () => {
    for (const { inputs } of routes) expect(inputs.authorizationType, inputs.routeKey).toBe("AWS_IAM");
    const authorizer = custom.one("aws:apigatewayv2/authorizer:Authorizer");
    expect(authorizer).toMatchObject({ authorizerType: "JWT", jwtConfiguration: { issuer: "https://issuer.example.com/", audiences: ["roger"] } });
    for (const { inputs } of custom.of("aws:apigatewayv2/route:Route")) {
      expect([inputs.authorizationType, inputs.authorizerId], inputs.routeKey).toEqual([
        "JWT",
        custom.of("aws:apigatewayv2/authorizer:Authorizer")[0]?.id,
      ]);
    }
  });

  it("are for programs: no page of anybody's may call them", () => {
    expect(production.one("aws:apigatewayv2/api:Api").corsConfiguration).toEqual({});
  });
});

describe("Lambdas", () => {
  const lambdas = production.of("aws:lambda/function:Function");

  it("are one for each app, and the scaler: ARM, Node 24, JSON logs of their own", () => {
    expect(lambdas.map(({ name }) => name).toSorted()).toEqual(
      ["Jobs", "Openapi", "Partitions", "Queues", "Scaler", "Tasks"].map((name) => `${name}Function`),
    );
    for (const { name, inputs } of lambdas) {
      expect(inputs, name).toMatchObject({ runtime: "nodejs24.x", architectures: ["arm64"], loggingConfig: { logFormat: "JSON" } });
      expect(inputs.timeout, name).toBe(name === "ScalerFunction" ? 50 : 30);
    }
    // Beside those of the tasks, and told from those of another stage.
    for (const { name, inputs } of lambdas) expect(inputs.loggingConfig.logGroup).toBe(`/roger/production/${name.replace(/Function$/, "")}`);
    for (const { name, inputs } of production.of("aws:cloudwatch/logGroup:LogGroup")) expect(inputs.retentionInDays, name).toBeGreaterThan(0);
  });

  it("are outside the VPC, all but the one that speaks to the broker", () => {
    const inside = lambdas.filter(({ inputs }) => inputs.vpcConfig !== undefined);
    expect(inside.map(({ name }) => name)).toEqual(["QueuesFunction"]);
    expect(inside[0]?.inputs.vpcConfig.securityGroupIds).toEqual(["Functions-id"]);
  });

  it("come in any number, but for those that open a connection to the broker", () => {
    const bounds = lambdas.map(({ name, inputs }) => [name, inputs.reservedConcurrentExecutions]);
    expect(Object.fromEntries(bounds.filter(([, bound]) => bound !== undefined))).toEqual({ QueuesFunction: 25 });
    expect(lambdaOf(custom, "Queues").reservedConcurrentExecutions).toBeUndefined();
  });

  it("are told what the code reads, and the code understands it", () => {
    const environment = (name: string) => functionsEnvironment(lambdaOf(custom, name).environment.variables);
    const services = [
      { pool: "default", service: "WorkerDefault", slots: 4, min: 1, max: 3 },
      { pool: "big", service: "WorkerBig", slots: 1, min: 0, max: 2 },
    ];
    const table = custom.one("aws:dynamodb/table:Table").name;
    for (const name of ["Partitions", "Scaler"])
      expect(environment(name)).toMatchObject({ table, services, cluster: custom.one("aws:ecs/cluster:Cluster").name });
    // No way from the VPC to ECS: it must not try.
    expect(environment("Queues")).toMatchObject({ table, services: [], cluster: undefined, amqpUrl: expect.stringMatching(/^amqps:/) });
    for (const name of ["Jobs", "Tasks"]) expect(environment(name)).toMatchObject({ table, amqpUrl: undefined });
  });

  it("know which claim to look at, if tokens are asked for", () => {
    for (const name of ["Jobs", "Openapi", "Partitions", "Queues", "Tasks"]) {
      expect(lambdaOf(custom, name).environment.variables.ROGER_TENANT_CLAIM).toBe("roger_partitions");
      expect(lambdaOf(production, name).environment.variables.ROGER_TENANT_CLAIM).toBeUndefined();
    }
  });
});

describe("the scaler", () => {
  it("is called every minute, without a second try", () => {
    const schedule = production.one("aws:scheduler/schedule:Schedule");
    expect(schedule.scheduleExpression).toBe("rate(1 minute)");
    expect(schedule.target).toMatchObject({ arn: expect.stringContaining("ScalerFunction"), retryPolicy: { maximumRetryAttempts: 0 } });
  });

  it("is called when a task of our cluster runs or has ended", () => {
    expect(JSON.parse(production.one("aws:cloudwatch/eventRule:EventRule").eventPattern)).toEqual({
      source: ["aws.ecs"],
      "detail-type": ["ECS Task State Change"],
      detail: { clusterArn: [expect.stringContaining("cluster/WorkersCluster")], lastStatus: ["RUNNING", "STOPPED"] },
    });
    expect(production.one("aws:cloudwatch/eventTarget:EventTarget").arn).toContain("ScalerFunction");
    const permission = production.one("aws:lambda/permission:Permission", "TaskChangesInvoke");
    expect(permission).toMatchObject({ principal: "events.amazonaws.com", sourceArn: expect.stringContaining("TaskChanges") });
  });
});
