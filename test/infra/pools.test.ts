import { describe, expect, it } from "vitest";
import { workerEnvironment } from "../../client/environment.ts";
import { DEFAULT_TIMINGS, STOP_TIMEOUT_MS } from "../../core/contract/limits.ts";
import { StageGraph } from "./graph/graph.ts";

const production = new StageGraph("production");
const dev = new StageGraph("dev");
const custom = new StageGraph("custom");

const definitionOf = (graph: StageGraph, name = "WorkerDefault") => graph.one("aws:ecs/taskDefinition:TaskDefinition", `${name}Task`);
const containerOf = (graph: StageGraph, name?: string) => JSON.parse(definitionOf(graph, name).containerDefinitions)[0];
const serviceOf = (graph: StageGraph, name = "WorkerDefault") => graph.one("aws:ecs/service:Service", `${name}Service`);

describe("the task", () => {
  const container = containerOf(production);

  it("is an ARM task of the size that was asked for", () => {
    expect(definitionOf(production)).toMatchObject({
      cpu: "512",
      memory: "1024",
      runtimePlatform: { cpuArchitecture: "ARM64" },
      networkMode: "awsvpc",
    });
    expect(definitionOf(custom, "WorkerBig")).toMatchObject({ cpu: "4096", memory: "16384" });
  });

  it("gets all the time there is to drain, and begins to end in time", () => {
    expect(container.stopTimeout).toBe(STOP_TIMEOUT_MS / 1000);
    const { drainMs } = workerEnvironment(environmentOf(container));
    expect(drainMs + DEFAULT_TIMINGS.settle).toBeLessThan(container.stopTimeout * 1000);
  });

  it("can write to /tmp only, has no capability and no open port", () => {
    expect(container).toMatchObject({
      readonlyRootFilesystem: true,
      mountPoints: [{ sourceVolume: "tmp", containerPath: "/tmp" }],
      linuxParameters: { initProcessEnabled: true, capabilities: { drop: ["ALL"] } },
      portMappings: [],
      pseudoTerminal: false,
    });
    expect(definitionOf(production).volumes).toEqual([{ name: "tmp" }]);
  });

  it("is asked for its health where it answers", () => {
    const { healthPort } = workerEnvironment(environmentOf(container));
    expect(container.healthCheck.command.join(" ")).toContain(`http://127.0.0.1:${healthPort}/health`);
  });

  it("is told what the code reads, the broker's URL by reference only", () => {
    expect(container.secrets).toEqual([{ name: "ROGER_AMQP_URL", valueFrom: expect.stringMatching(/^arn:aws:ssm:/) }]);
    expect(JSON.stringify(container)).not.toMatch(/amqps?:/);
    expect(workerEnvironment(environmentOf(container))).toMatchObject({
      pool: "default",
      slots: 10,
      table: production.one("aws:dynamodb/table:Table").name,
    });
    expect(workerEnvironment(environmentOf(containerOf(custom, "WorkerBig")))).toMatchObject({ pool: "big", slots: 1 });
  });

  it("is built for ARM from our Dockerfile", () => {
    const image = production.one("docker-build:index:Image");
    expect(image).toMatchObject({ platforms: ["linux/arm64"], dockerfile: { location: expect.stringMatching(/worker\/Dockerfile$/) }, push: true });
  });
});

describe("the service", () => {
  it("has tasks on Spot, and the first one on demand", () => {
    const strategies = (graph: StageGraph, name?: string) =>
      serviceOf(graph, name).capacityProviderStrategies.map((s: { capacityProvider: string; base?: number; weight: number }) => [
        s.capacityProvider,
        s.base ?? 0,
        s.weight,
      ]);
    expect(strategies(production)).toEqual([
      ["FARGATE", 1, 20],
      ["FARGATE_SPOT", 0, 80],
    ]);
    expect(strategies(dev)).toEqual([
      ["FARGATE", 0, 0],
      ["FARGATE_SPOT", 0, 100],
    ]);
    expect(strategies(custom, "WorkerBig")).toEqual([["FARGATE", 1, 100]]);
  });

  it("belongs to the scaler: no deployment and no policy sets its count", () => {
    for (const { name } of custom.of("aws:ecs/service:Service")) {
      expect(custom.options.find((option) => option.name === name && option.type === "aws:ecs/service:Service")?.ignoreChanges).toContain(
        "desiredCount",
      );
    }
    for (const graph of [production, dev, custom]) expect(graph.of("aws:appautoscaling/policy:Policy")).toEqual([]);
    expect(serviceOf(production)).toMatchObject({ desiredCount: 1, availabilityZoneRebalancing: "DISABLED" });
  });

  it("rolls back what doesn't start, and never has fewer tasks during a deployment", () => {
    expect(serviceOf(production)).toMatchObject({
      deploymentCircuitBreaker: { enable: true, rollback: true },
      deploymentMinimumHealthyPercent: 100,
      deploymentMaximumPercent: 200,
    });
  });

  it("has no way in: its own group, no port, no shell", () => {
    const { networkConfiguration, enableExecuteCommand, loadBalancers } = serviceOf(production);
    expect(networkConfiguration).toMatchObject({ securityGroups: ["Workers-id"], assignPublicIp: true });
    expect(networkConfiguration.subnets).toEqual(expect.arrayContaining(["NetPublicSubnet1-id", "NetPublicSubnet2-id"]));
    expect([enableExecuteCommand, loadBalancers]).toEqual([false, []]);
  });
});

/** As ECS would put it together. */
function environmentOf(container: { environment: { name: string; value: string }[]; secrets: { name: string }[] }): Record<string, string> {
  return Object.fromEntries([
    ...container.environment.map(({ name, value }) => [name, value]),
    ...container.secrets.map(({ name }) => [name, "amqps://secret"]),
  ]);
}
