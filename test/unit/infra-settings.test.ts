import { describe, expect, it } from "vitest";
import { APP_ACCESS, CLIENT_ACCESS, SCALER_ACCESS, statementsOf, WORKER_ACCESS } from "../../infra/access.ts";
import { HEALTH_COMMAND, hardened } from "../../infra/container.ts";
import { type Settings, stageSettings } from "../../infra/settings.ts";
import { capacity, fargateMemory } from "../../infra/sizes.ts";
import { settingsOf } from "../../infra/stages.ts";

describe("settings of a stage", () => {
  it("all have a default: careful in production, cheap elsewhere", () => {
    expect(settingsOf("production")).toEqual({
      stage: "production",
      region: "eu-west-1",
      removal: "retain",
      protect: true,
      pools: [{ name: "default", slots: 10, cpu: 0.5, memory: 1, min: 1, max: 20, spot: 0.8 }],
      broker: { kind: "amazon-mq", instance: "mq.m7g.large", cluster: true },
      queuesConcurrency: 25,
      jwt: undefined,
      alarms: { email: undefined, topic: undefined },
    });
    // Whatever every object answers to is a stage as any other.
    expect(settingsOf("constructor")).toMatchObject({ stage: "constructor", removal: "remove" });
    expect(settingsOf("anybodys")).toMatchObject({
      removal: "remove",
      protect: false,
      pools: [{ name: "default", min: 0, max: 3, spot: 1 }],
      broker: { instance: "mq.m7g.medium", cluster: false },
      queuesConcurrency: false,
    });
  });

  it("are what was said, and the default for the rest", () => {
    const settings: Settings = {
      region: "us-gov-west-1",
      pools: { default: { max: 50 }, big: { cpu: 4, memory: 16, spot: 0 } },
      broker: { kind: "amazon-mq", instance: "mq.m7g.xlarge" },
      jwt: { issuer: "https://issuer.example.com/", audiences: ["roger"], claim: "tenants" },
      protect: false,
      queuesConcurrency: false,
      alarms: { topic: "arn:aws-us-gov:sns:us-gov-west-1:123456789012:operators" },
    };
    expect(stageSettings("production", settings)).toMatchObject({
      region: "us-gov-west-1",
      pools: [
        { name: "default", slots: 10, max: 50, min: 1 },
        { name: "big", cpu: 4, memory: 16, spot: 0, max: 20 },
      ],
      broker: { instance: "mq.m7g.xlarge", cluster: true },
      jwt: { claim: "tenants" },
      protect: false,
      queuesConcurrency: false,
      alarms: settings.alarms,
    });
  });

  it.each([
    [{ regoin: "eu-west-1" }, "production.regoin: there is no such setting"],
    [{ region: "Ireland" }, "production.region: must be an AWS region, like eu-west-1"],
    [{ removal: "delete" }, "production.removal: "],
    [{ pools: {} }, "production.pools: must name 1 to 10 pools"],
    [{ pools: { "my-pool": {} } }, "production.pools.my-pool: a pool's name must match"],
    [{ pools: { big_files: {}, bigfiles: {} } }, 'production.pools.bigfiles: is "big_files" but for underscores'],
    [{ pools: { default: { slot: 1 } } }, "production.pools.default.slot: there is no such setting"],
    [{ pools: { default: { slots: 0 } } }, "production.pools.default.slots: "],
    [{ pools: { default: { min: 5, max: 4 } } }, "production.pools.default.min: 5 is above max, 4"],
    [{ pools: { default: { spot: 1.5 } } }, "production.pools.default.spot: "],
    [
      { pools: { default: { cpu: 0.5, memory: 8 } } },
      "production.pools.default.memory: Fargate has no task of 0.5 vCPU with 8 GB, only with 1, 2, 3, 4",
    ],
    [{ pools: { default: { cpu: 3 } } }, "production.pools.default.cpu: Fargate has no task of 3 vCPU, only of 0.25, 0.5, 1, 2, 4, 8, 16"],
    [
      { pools: { default: { max: 1_000 } }, broker: { kind: "amazon-mq", instance: "mq.m7g.medium" } },
      "production.broker.instance: 1000 tasks may open 6050 connections",
    ],
    [{ broker: { kind: "redis" } }, "production.broker.kind: "],
    [{ broker: { kind: "url", url: "amqps://user:password@host" } }, "production.broker.url: there is no such setting"],
    [{ queuesConcurrency: 51 }, "production.queuesConcurrency: "],
    [{ queuesConcurrency: true as false }, "production.queuesConcurrency: "],
    [{ jwt: { issuer: "http://issuer", audiences: ["a"] } }, "production.jwt.issuer: "],
    [{ jwt: { issuer: "https://issuer", audiences: [] } }, "production.jwt.audiences: "],
    [{ alarms: { email: "nobody" } }, "production.alarms.email: "],
    [{ alarms: { topic: "operators" } }, "production.alarms.topic: must be the ARN of an SNS topic"],
    [
      { alarms: { email: "a@example.com", topic: "arn:aws:sns:eu-west-1:123456789012:t" } },
      'production.alarms.topic: give "email" or "topic", not both',
    ],
  ])("%j is refused by its name", (settings, message) => {
    expect(() => stageSettings("production", settings)).toThrow(message);
  });
});

describe("sizes", () => {
  it("are Fargate's", () => {
    for (const [cpu, memory] of [
      [0.25, 0.5],
      [0.5, 4],
      [1, 8],
      [2, 16],
      [4, 30],
      [8, 60],
      [16, 120],
    ] as const)
      expect(fargateMemory(cpu)).toContain(memory);
    for (const [cpu, memory] of [
      [0.25, 4],
      [1, 1],
      [8, 17],
      [16, 33],
      [32, 64],
    ] as const)
      expect(fargateMemory(cpu)).not.toContain(memory);
  });

  it("of Spot become weights, and the first task stays on demand", () => {
    expect(capacity(0)).toEqual({ fargate: { base: 1, weight: 100 } });
    expect(capacity(0.8)).toEqual({ fargate: { base: 1, weight: 20 }, spot: { weight: 80 } });
    expect(capacity(1)).toEqual({ fargate: { base: 0, weight: 0 }, spot: { weight: 100 } });
  });
});

describe("access", () => {
  it("becomes one statement for each kind of resource", () => {
    const arns = { table: "T", dueIndex: "T/index/due", services: ["S1", "S2"] };
    expect(statementsOf(APP_ACCESS.openapi, arns)).toEqual([]);
    expect(statementsOf(APP_ACCESS.tasks, arns)).toEqual([{ actions: ["dynamodb:GetItem", "dynamodb:Query"], resources: ["T"] }]);
    expect(statementsOf(APP_ACCESS.partitions, arns).at(-1)).toEqual({
      actions: ["ecs:DescribeServices", "ecs:UpdateService"],
      resources: ["S1", "S2"],
    });
    expect(statementsOf(WORKER_ACCESS, arns).at(-1)).toEqual({ actions: ["dynamodb:Query"], resources: ["T/index/due"] });
  });

  it("of an application lets it send what its client made: items of a transaction, and of a batch", () => {
    const [statement] = statementsOf(CLIENT_ACCESS, { table: "T", dueIndex: "T/index/due", services: [] });
    expect(statement?.actions).toEqual(expect.arrayContaining(["dynamodb:PutItem", "dynamodb:BatchWriteItem"]));
    // Of Roger's own processes none writes in batches.
    for (const { table } of [...Object.values(APP_ACCESS), SCALER_ACCESS, WORKER_ACCESS]) expect(table).not.toContain("BatchWriteItem");
  });
});

describe("a container", () => {
  it("keeps what it was and gets what is missing", () => {
    const [container] = JSON.parse(
      hardened(JSON.stringify([{ name: "Worker", image: "i", pseudoTerminal: true, healthCheck: { command: HEALTH_COMMAND } }])),
    );
    expect(container).toMatchObject({
      name: "Worker",
      image: "i",
      stopTimeout: 120,
      pseudoTerminal: false,
      readonlyRootFilesystem: true,
      portMappings: [],
    });
    expect(container.healthCheck.command).toEqual(HEALTH_COMMAND);
  });
});
