import { SCALER_ACCESS, statementsOf } from "./access.ts";
import type { Stage } from "./host.ts";
import { makeLambda } from "./lambda.ts";
import type { Pools } from "./pools.ts";
import type { Table } from "./table.ts";

/** The scaling pass: every minute, and whenever a task of ours starts or ends. */
export function makeScaler({ host }: Stage, { table, pools }: { readonly table: Table; readonly pools: Pools }): sst.aws.Function {
  const scaler = makeLambda(host.name("Scaler"), {
    handler: host.handler("scale"),
    description: "Roger: makes the number of tasks follow the work",
    // n.b. shorter than the claim of a pass (functions/scaler.ts): a pass that is taken for dead must be.
    timeout: "50 seconds",
    environment: { ROGER_TABLE: table.name, ...pools.environment },
    statements: statementsOf<$util.Input<string>>(SCALER_ACCESS, { table: table.arn, dueIndex: table.dueIndexArn, services: pools.serviceArns }),
  });
  new sst.aws.CronV2(host.name("ScalerTick"), { schedule: "rate(1 minute)", function: scaler.arn, retries: 0 });

  const rule = new aws.cloudwatch.EventRule(host.name("TaskChanges"), {
    description: "Roger: a task of the cluster runs, or has ended",
    eventPattern: pools.cluster.arn.apply((arn) =>
      JSON.stringify({
        source: ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        detail: { clusterArn: [arn], lastStatus: ["RUNNING", "STOPPED"] },
      }),
    ),
  });
  new aws.lambda.Permission(host.name("TaskChangesInvoke"), {
    action: "lambda:InvokeFunction",
    function: scaler.name,
    principal: "events.amazonaws.com",
    sourceArn: rule.arn,
  });
  new aws.cloudwatch.EventTarget(host.name("TaskChangesTarget"), { rule: rule.name, arn: scaler.arn });
  return scaler;
}
