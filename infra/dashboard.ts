import { METRICS_DIMENSION, METRICS_NAMESPACE, type PassMetric } from "../core/contract/metrics.ts";
import type { Watched } from "./alarms.ts";
import { appAndStage, type Stage } from "./host.ts";

/** One page: is work done, by how many, and does anything fail. */
export function makeDashboard({ host }: Stage, { table, functions, apiId }: Watched): void {
  const names = { region: aws.getRegionOutput().region, table: table.name, api: apiId, functions: functions.map(({ name }) => name) };
  new aws.cloudwatch.Dashboard(host.name("Dashboard"), {
    dashboardName: appAndStage(),
    dashboardBody: $util.output(names).apply((known) => JSON.stringify({ widgets: widgets(known) })),
  });
}

interface Names {
  readonly region: string;
  readonly table: string;
  readonly api: string;
  readonly functions: readonly string[];
}

type Metric = readonly (string | { readonly stat: string })[];

function widgets({ region, table, api, functions }: Names): object[] {
  const pass = (name: PassMetric): Metric => [METRICS_NAMESPACE, name, METRICS_DIMENSION, table];
  const lambda = (name: string): Metric[] => functions.map((fn) => ["AWS/Lambda", name, "FunctionName", fn]);
  const graphs: readonly { readonly title: string; readonly stat: string; readonly metrics: readonly Metric[] }[] = [
    { title: "Jobs", stat: "Maximum", metrics: [pass("ReadyJobs"), pass("RunningJobs")] },
    { title: "Tasks", stat: "Maximum", metrics: [pass("DesiredTasks"), pass("LiveTasks"), pass("DisconnectedTasks")] },
    { title: "Slots, and jobs in them", stat: "Maximum", metrics: [pass("Slots"), pass("RunningJobs")] },
    { title: "Partitions", stat: "Maximum", metrics: [pass("RunningPartitions"), pass("UnservedPartitions")] },
    { title: "Parked jobs past due, s", stat: "Maximum", metrics: [pass("OverdueSeconds")] },
    {
      title: "API",
      stat: "Sum",
      metrics: [
        ["AWS/ApiGateway", "Count", "ApiId", api],
        ["AWS/ApiGateway", "4xx", "ApiId", api],
        ["AWS/ApiGateway", "5xx", "ApiId", api],
      ],
    },
    { title: "API latency, ms", stat: "p95", metrics: [["AWS/ApiGateway", "Latency", "ApiId", api]] },
    { title: "Function errors", stat: "Sum", metrics: lambda("Errors") },
    {
      title: "Table, units",
      stat: "Sum",
      metrics: [
        ["AWS/DynamoDB", "ConsumedReadCapacityUnits", "TableName", table],
        ["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", table],
      ],
    },
  ];
  return graphs.map(({ title, stat, metrics }, i) => ({
    type: "metric",
    x: (i % 3) * 8,
    y: Math.floor(i / 3) * 6,
    width: 8,
    height: 6,
    properties: { title, region, stat, metrics, period: 60, view: "timeSeries" },
  }));
}
