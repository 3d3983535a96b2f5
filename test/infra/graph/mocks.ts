import type { MockCall, MockResource } from "./platform.ts";

/** What AWS would answer, as far as components and infra/ ask: names that show where they come from. */

export const REGION = "eu-west-1";
export const ACCOUNT = "123456789012";

export function arn(service: string, name: string): string {
  return `arn:aws:${service}:${REGION}:${ACCOUNT}:${name}`;
}

/** `aws:ecs/service:Service` -> `ecs` */
function serviceOf(type: string): string {
  return type.split(":")[1]?.split("/")[0] ?? "none";
}

const COMPUTED: Readonly<Record<string, (name: string) => object>> = {
  "aws:mq/broker:Broker": () => ({ instances: [{ endpoints: ["amqps://b-1.mq.eu-west-1.on.aws:5671"], consoleUrl: "", ipAddress: "" }] }),
  "aws:apigatewayv2/api:Api": (name) => ({
    apiEndpoint: "https://abcdef1234.execute-api.eu-west-1.amazonaws.com",
    executionArn: arn("execute-api", name),
  }),
  "aws:lambda/function:Function": (name) => ({ invokeArn: arn("apigateway", name), qualifiedArn: `${arn("lambda", name)}:1` }),
  "aws:ecs/cluster:Cluster": (name) => ({ arn: arn("ecs", `cluster/${name}`) }),
  "docker-build:index:Image": () => ({ digest: `sha256:${"0".repeat(64)}`, ref: "image" }),
  "random:index/randomBytes:RandomBytes": () => ({ base64: Buffer.alloc(32).toString("base64") }),
  "random:index/randomPassword:RandomPassword": () => ({ result: "the-broker-password" }),
};

/** ECS names its services by their ARN. */
const IDS: Readonly<Record<string, (name: string) => string>> = {
  "aws:ecs/service:Service": (name) => arn("ecs", `service/WorkersCluster/${name}`),
};

export function newResource({ type, name, inputs }: MockResource): { id: string; state: object } {
  const id = IDS[type]?.(name) ?? `${name}-id`;
  return { id, state: { ...inputs, name: inputs.name ?? name, arn: arn(serviceOf(type), name), id, ...COMPUTED[type]?.(name) } };
}

interface PolicyStatement {
  readonly sid?: string;
  readonly effect?: string;
  readonly actions?: unknown;
  readonly resources?: unknown;
  readonly principals?: unknown;
  readonly conditions?: unknown;
}

const ANSWERS: Readonly<Record<string, (inputs: MockCall["inputs"]) => object>> = {
  "aws:index/getRegion:getRegion": () => ({ region: REGION, name: REGION, id: REGION }),
  "aws:index/getPartition:getPartition": () => ({ partition: "aws", dnsSuffix: "amazonaws.com", id: "aws" }),
  "aws:index/getCallerIdentity:getCallerIdentity": () => ({ accountId: ACCOUNT, arn: arn("iam", "deployer"), userId: "deployer", id: ACCOUNT }),
  "aws:index/getAvailabilityZones:getAvailabilityZones": () => ({
    names: ["a", "b", "c"].map((zone) => `${REGION}${zone}`),
    zoneIds: ["a", "b", "c"],
    id: REGION,
  }),
  "aws:iam/getPolicyDocument:getPolicyDocument": (inputs) => policyDocument((inputs.statements ?? []) as PolicyStatement[]),
  "aws:ecr/getAuthorizationToken:getAuthorizationToken": () => ({
    proxyEndpoint: "https://registry",
    userName: "AWS",
    password: "none",
    authorizationToken: "none",
    expiresAt: "",
    id: "token",
  }),
};

export function call({ token, inputs }: MockCall): object {
  return ANSWERS[token]?.(inputs) ?? inputs;
}

function policyDocument(statements: readonly PolicyStatement[]): object {
  const json = JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map(({ sid, effect = "Allow", actions, resources, principals, conditions }) => ({
      Sid: sid,
      Effect: effect,
      Action: actions,
      Resource: resources,
      Principal: principals,
      Condition: conditions,
    })),
  });
  return { statements, json, minifiedJson: json, id: "policy" };
}
