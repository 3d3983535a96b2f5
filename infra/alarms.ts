import { BURIED_LINE, METRICS_DIMENSION, METRICS_NAMESPACE, type PassMetric } from "../core/contract/metrics.ts";
import { DUE_INDEX } from "../core/contract/table.ts";
import { appAndStage, type Host, type Stage } from "./host.ts";
import type { Pools } from "./pools.ts";
import type { Table } from "./table.ts";

export interface Watched {
  readonly table: Table;
  readonly pools: Pools;
  readonly functions: readonly sst.aws.Function[];
  readonly apiId: $util.Input<string>;
}

type AlarmArgs = Omit<aws.cloudwatch.MetricAlarmArgs, "name" | "comparisonOperator" | "alarmActions" | "okActions" | "evaluationPeriods"> & {
  /** @default `GreaterThanOrEqualToThreshold` */
  readonly comparisonOperator?: "LessThanThreshold";
  /** In how many minutes in a row it has to be so. */
  readonly minutes: number;
};

const MINUTE = 60;

/** The alarms; docs/runbook.md says of each what it means and what to do. */
export function makeAlarms(stage: Stage, { table, pools, functions, apiId }: Watched): void {
  const topic = topicArn(stage);
  const alarm = (name: string, { minutes, ...args }: AlarmArgs) =>
    new aws.cloudwatch.MetricAlarm(stage.host.name(name), {
      // In a mail it is all that tells which app and stage it is about.
      name: `${appAndStage()}-${stage.host.name(name)}`,
      comparisonOperator: "GreaterThanOrEqualToThreshold",
      treatMissingData: "notBreaching",
      ...(args.metricName === undefined ? {} : { period: MINUTE }),
      ...args,
      evaluationPeriods: minutes,
      alarmActions: [topic],
      okActions: [topic],
    });
  const pass = (metricName: PassMetric) => ({ namespace: METRICS_NAMESPACE, metricName, dimensions: { [METRICS_DIMENSION]: table.name } });

  const buried = { namespace: `${METRICS_NAMESPACE}/${$app.name}/${stage.stage}`, name: "BuriedJobs" };
  countBuried(stage.host, pools, buried);
  alarm("JobsBuried", { namespace: buried.namespace, metricName: buried.name, statistic: "Sum", threshold: 1, minutes: 1 });
  alarm("JobsOverdue", { ...pass("OverdueSeconds"), statistic: "Maximum", threshold: 300, minutes: 3 });
  // Tasks need about a minute to start.
  alarm("PartitionsUnserved", { ...pass("UnservedPartitions"), statistic: "Minimum", threshold: 1, minutes: 5 });
  alarm("TasksDisconnected", { ...pass("DisconnectedTasks"), statistic: "Minimum", threshold: 1, minutes: 3 });
  // A pass that fails is logged and tried again: only its silence tells.
  alarm("ScalerSilent", {
    ...pass("LiveTasks"),
    statistic: "SampleCount",
    comparisonOperator: "LessThanThreshold",
    threshold: 1,
    minutes: 5,
    treatMissingData: "breaching",
  });
  const errors = functions.map((lambda) => ({ namespace: "AWS/Lambda", metricName: "Errors", dimensions: { FunctionName: lambda.name } }));
  alarm("FunctionErrors", { metricQueries: sumOf(errors), threshold: 1, minutes: 1 });
  alarm("ApiFailures", { namespace: "AWS/ApiGateway", metricName: "5xx", dimensions: { ApiId: apiId }, statistic: "Sum", threshold: 5, minutes: 3 });
  // n.b. of a table CloudWatch counts what its index throttles apart: and the due index is where one tenant can be too much.
  const ofTable = { TableName: table.name };
  const throttles = [ofTable, { ...ofTable, GlobalSecondaryIndexName: DUE_INDEX }].flatMap((dimensions) =>
    ["ReadThrottleEvents", "WriteThrottleEvents"].map((metricName) => ({ namespace: "AWS/DynamoDB", metricName, dimensions })),
  );
  alarm("TableThrottled", { metricQueries: sumOf(throttles), threshold: 1, minutes: 3 });
}

/** n.b. `FILL`: a metric of which nothing was heard must not hide the others. */
function sumOf(metrics: readonly { namespace: string; metricName: string; dimensions: Record<string, $util.Input<string>> }[]) {
  return [
    ...metrics.map((metric, i) => ({ id: `m${i}`, metric: { ...metric, period: MINUTE, stat: "Sum" } })),
    { id: "total", expression: "SUM(FILL(METRICS(), 0))", label: "total", returnData: true },
  ];
}

/** Every buried job is a line in its task's log; to count the items would cost a query for each tenant. */
function countBuried(host: Host, { pools }: Pools, { namespace, name }: { readonly namespace: string; readonly name: string }): void {
  for (const { name: pool, logGroup, service } of pools) {
    new aws.cloudwatch.LogMetricFilter(
      host.name(`Buried-${pool}`),
      {
        logGroupName: logGroup,
        pattern: `{ $.msg = "${BURIED_LINE}" }`,
        metricTransformation: { namespace, name, value: "1", defaultValue: "0", unit: "Count" },
      },
      // The log group is made with the service, which names it only.
      { dependsOn: [service] },
    );
  }
}

function topicArn({ alarms, host }: Stage): $util.Input<string> {
  if (alarms.topic !== undefined) return alarms.topic;
  const topic = new aws.sns.Topic(host.name("Alarms"));
  if (alarms.email !== undefined)
    new aws.sns.TopicSubscription(host.name("AlarmsMail"), { topic: topic.arn, protocol: "email", endpoint: alarms.email });
  return topic.arn;
}
