import { type Statement, statementsOf, WORKER_ACCESS } from "./access.ts";
import type { Broker } from "./broker.ts";
import type { Table } from "./table.ts";

type Policies = aws.iam.RoleArgs["inlinePolicies"];

/** What a task may do while it runs. @param more what its jobs need */
export function taskPolicies(table: Table, cluster: sst.aws.Cluster, more: readonly Statement<$util.Input<string>>[]): Policies {
  // It asks for protection from scale-in itself, by an id that nobody knows before it runs.
  const tasks = cluster.nodes.cluster.arn.apply((arn) => `${arn.replace(":cluster/", ":task/")}/*`);
  return policies([
    ...statementsOf<$util.Input<string>>(WORKER_ACCESS, { table: table.arn, dueIndex: table.dueIndexArn, services: [] }),
    { actions: ["ecs:UpdateTaskProtection"], resources: [tasks] },
    ...more,
  ]);
}

/** What ECS needs to start a task: its image, its log, its secret. */
export function executionPolicies(broker: Broker, logGroup: string): Policies {
  const { partition } = aws.getPartitionOutput();
  const { accountId } = aws.getCallerIdentityOutput();
  const { region } = aws.getRegionOutput();
  const at = (service: string, rest: string) => $interpolate`arn:${partition}:${service}:${region}:${accountId}:${rest}`;
  return policies([
    // Logging in to the registry is an action on no repository in particular.
    { actions: ["ecr:GetAuthorizationToken"], resources: ["*"] },
    {
      actions: ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
      // Where SST keeps the images that it builds.
      resources: [at("ecr", "repository/sst-asset")],
    },
    { actions: ["logs:CreateLogStream", "logs:PutLogEvents"], resources: [at("logs", `log-group:${logGroup}:*`)] },
    { actions: ["ssm:GetParameters"], resources: [broker.parameterArn] },
  ]);
}

function policies(statements: Statement<$util.Input<string>>[]): Policies {
  return [{ name: "inline", policy: aws.iam.getPolicyDocumentOutput({ statements }).json }];
}
