import { describe, expect, it } from "vitest";
import { type GraphResource, STAGES, StageGraph } from "./graph/graph.ts";

interface Statement {
  readonly Effect: string;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

const list = (value: string | readonly string[]): readonly string[] => (typeof value === "string" ? [value] : value);

/** Every `*` that has to be, and why. Anything else fails. */
const UNAVOIDABLE: readonly { readonly action: RegExp; readonly resource: RegExp; readonly why: string }[] = [
  { action: /^ecr:GetAuthorizationToken$/, resource: /^\*$/, why: "logging in to the registry knows no resource" },
  {
    action: /^ec2:(Create|Describe|Delete)NetworkInterfaces?$|^ec2:DescribeSubnets$|^ec2:(Una|A)ssignPrivateIpAddresses$/,
    resource: /^\*$/,
    why: "a Lambda in a VPC makes interfaces that have no name before, and describing knows no resource",
  },
  { action: /^logs:(CreateLogStream|PutLogEvents)$/, resource: /^arn:[^*]+:\*$/, why: "the streams of one log group are named by whoever writes" },
  {
    action: /^ecs:UpdateTaskProtection$/,
    resource: /^arn:[^*]+:task\/WorkersCluster\/\*$/,
    why: "a task's id is known once it runs; of one cluster",
  },
];

function statementsOf(role: GraphResource): Statement[] {
  return (role.inputs.inlinePolicies ?? []).flatMap(({ policy }: { policy: string }) => JSON.parse(policy).Statement as Statement[]);
}

describe.each(Object.keys(STAGES) as (keyof typeof STAGES)[])("roles of %s", (stage) => {
  const graph = new StageGraph(stage);
  const roles = graph.of("aws:iam/role:Role");

  it("are as many as there are processes, and each has a policy", () => {
    const pools = stage === "custom" ? 2 : 1;
    // Five apps, the scaler, its clock; a task and what starts it, for each pool.
    expect(roles).toHaveLength(7 + 2 * pools);
    for (const role of roles) expect(statementsOf(role).length, role.name).toBeGreaterThan(0);
  });

  it("hold no AWS policy, whose rights nobody here has chosen", () => {
    for (const role of roles) expect(role.inputs.managedPolicyArns ?? [], role.name).toEqual([]);
    expect(graph.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment")).toEqual([]);
    // Nor one beside the role, where the tests below would not see it.
    for (const type of ["aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy"]) expect(graph.of(type), type).toEqual([]);
  });

  it("allow nothing by a wildcard that isn't unavoidable", () => {
    const wrong = roles.flatMap((role) =>
      statementsOf(role).flatMap(({ Action, Resource, Effect }) =>
        list(Action).flatMap((action) =>
          list(Resource)
            .filter((resource) => action.includes("*") || resource.includes("*"))
            .filter((resource) => !UNAVOIDABLE.some((rule) => rule.action.test(action) && rule.resource.test(resource)))
            .map((resource) => `${role.name}: ${Effect} ${action} on ${resource}`),
        ),
      ),
    );
    expect(wrong).toEqual([]);
  });

  it("can be taken by the one service that runs the process", () => {
    const principals = Object.fromEntries(
      roles.map(({ name, inputs }) => {
        const policy = typeof inputs.assumeRolePolicy === "string" ? JSON.parse(inputs.assumeRolePolicy) : inputs.assumeRolePolicy;
        return [name, policy.Statement.map((statement: { Principal: unknown }) => statement.Principal)];
      }),
    );
    for (const [name, found] of Object.entries(principals)) {
      const service = name.startsWith("Worker") ? "ecs-tasks" : name === "ScalerTickRole" ? "scheduler" : "lambda";
      expect(found, name).toEqual([{ Service: `${service}.amazonaws.com` }]);
    }
  });
});

describe("rights", () => {
  const graph = new StageGraph("production");
  const actionsOf = (name: string) =>
    statementsOf(graph.of("aws:iam/role:Role").find((role) => role.name === name) ?? { type: "", name, id: "", inputs: {} })
      .flatMap(({ Action, Resource }) =>
        list(Action).flatMap((action) => list(Resource).map((resource) => `${action} ${resource.split(":").at(-1)}`)),
      )
      .filter((right) => !/^(logs|ec2):/.test(right))
      .toSorted();

  it.each([
    ["OpenapiRole", []],
    ["TasksRole", ["dynamodb:GetItem StateTable", "dynamodb:Query StateTable"]],
    [
      "PartitionsRole",
      [
        "dynamodb:GetItem StateTable",
        "dynamodb:PutItem StateTable",
        "dynamodb:Query StateTable",
        "dynamodb:UpdateItem StateTable",
        "ecs:DescribeServices service/WorkersCluster/WorkerDefaultService",
        "ecs:UpdateService service/WorkersCluster/WorkerDefaultService",
      ],
    ],
    [
      "ScalerRole",
      [
        "dynamodb:GetItem StateTable",
        "dynamodb:Query StateTable",
        "dynamodb:Query StateTable/index/due",
        "dynamodb:UpdateItem StateTable",
        "ecs:DescribeServices service/WorkersCluster/WorkerDefaultService",
        "ecs:UpdateService service/WorkersCluster/WorkerDefaultService",
      ],
    ],
    [
      "WorkerDefaultTaskRole",
      [
        "dynamodb:DeleteItem StateTable",
        "dynamodb:GetItem StateTable",
        "dynamodb:PutItem StateTable",
        "dynamodb:Query StateTable",
        "dynamodb:Query StateTable/index/due",
        "dynamodb:UpdateItem StateTable",
        "ecs:UpdateTaskProtection task/WorkersCluster/*",
      ],
    ],
    [
      "WorkerDefaultExecutionRole",
      [
        "ecr:BatchCheckLayerAvailability repository/sst-asset",
        "ecr:BatchGetImage repository/sst-asset",
        "ecr:GetAuthorizationToken *",
        "ecr:GetDownloadUrlForLayer repository/sst-asset",
        "ssm:GetParameters AmqpUrlParameter",
      ],
    ],
  ])("of %s are these", (role, rights) => {
    expect(actionsOf(role)).toEqual(rights);
  });
});
