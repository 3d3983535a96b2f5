import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BURIED_LINE, PASS_METRICS } from "../../core/contract/metrics.ts";
import { StageGraph } from "./graph/graph.ts";
import { ROOT } from "./graph/platform.ts";

const production = new StageGraph("production");
const custom = new StageGraph("custom");

const alarms = production.of("aws:cloudwatch/metricAlarm:MetricAlarm");
const table = production.one("aws:dynamodb/table:Table").name as string;

describe("alarms", () => {
  it("are these, and the runbook says of each what to do", () => {
    const names = alarms.map(({ name }) => name).toSorted();
    expect(names).toEqual([
      "ApiFailures",
      "FunctionErrors",
      "JobsBuried",
      "JobsOverdue",
      "PartitionsUnserved",
      "ScalerSilent",
      "TableThrottled",
      "TasksDisconnected",
    ]);
    const runbook = readFileSync(join(ROOT, "docs/runbook.md"), "utf8");
    for (const name of names) expect(runbook).toMatch(new RegExp(`^### ${name}$`, "m"));
  });

  it("say in their names which app and stage they are about", () => {
    for (const { name, inputs } of alarms) expect(inputs.name).toBe(`roger-production-${name}`);
  });

  it("tell somebody, when they begin and when they end", () => {
    const topic = "arn:aws:sns:eu-west-1:123456789012:Alarms";
    for (const { name, inputs } of alarms) expect([inputs.alarmActions, inputs.okActions], name).toEqual([[topic], [topic]]);
    expect(production.of("aws:sns/topicSubscription:TopicSubscription")).toEqual([]);
    expect(custom.one("aws:sns/topicSubscription:TopicSubscription")).toMatchObject({ protocol: "email", endpoint: "operators@example.com" });
  });

  it("look at metrics that the scaling pass tells, of this table", () => {
    const ours = alarms.filter(({ inputs }) => inputs.namespace === "Roger");
    expect(ours.map(({ inputs }) => inputs.metricName).toSorted()).toEqual([
      "DisconnectedTasks",
      "LiveTasks",
      "OverdueSeconds",
      "UnservedPartitions",
    ]);
    for (const { inputs } of ours) {
      expect(Object.keys(PASS_METRICS)).toContain(inputs.metricName);
      expect(inputs).toMatchObject({ dimensions: { Table: table }, period: 60 });
    }
  });

  it("count the lines of buried jobs in every pool's log", () => {
    const filters = custom.of("aws:cloudwatch/logMetricFilter:LogMetricFilter");
    expect(filters.map(({ inputs }) => inputs.logGroupName).toSorted()).toEqual(["/roger/custom/worker-big", "/roger/custom/worker-default"]);
    const groups = custom.of("aws:cloudwatch/logGroup:LogGroup").map(({ inputs }) => inputs.name);
    for (const { inputs } of filters) {
      expect(groups).toContain(inputs.logGroupName);
      expect(inputs.pattern).toBe(`{ $.msg = "${BURIED_LINE}" }`);
      const alarm = custom.one("aws:cloudwatch/metricAlarm:MetricAlarm", "JobsBuried");
      expect(inputs.metricTransformation).toMatchObject({ namespace: alarm.namespace, name: alarm.metricName });
    }
  });

  it("see a scaler that says nothing", () => {
    const silent = production.one("aws:cloudwatch/metricAlarm:MetricAlarm", "ScalerSilent");
    expect(silent).toMatchObject({ treatMissingData: "breaching", statistic: "SampleCount", comparisonOperator: "LessThanThreshold", threshold: 1 });
  });

  it("add up every function's errors and every way the table throttles", () => {
    const queried = (name: string) =>
      production
        .one("aws:cloudwatch/metricAlarm:MetricAlarm", name)
        .metricQueries.flatMap((query: { metric?: { metricName: string } }) => query.metric ?? []);
    expect(queried("FunctionErrors")).toHaveLength(production.of("aws:lambda/function:Function").length);
    const ofTable = { TableName: table };
    const ofIndex = { TableName: table, GlobalSecondaryIndexName: "due" };
    expect(queried("TableThrottled")).toMatchObject(
      [ofTable, ofIndex].flatMap((dimensions) => [
        { metricName: "ReadThrottleEvents", dimensions },
        { metricName: "WriteThrottleEvents", dimensions },
      ]),
    );
    // A pattern lets more dimensions through, and those of an index are not the table's.
    expect(queried("TableThrottled")[0].dimensions).toEqual(ofTable);
  });
});

describe("the dashboard", () => {
  it("is one page, and shows every metric of the pass", () => {
    const { dashboardName, dashboardBody } = production.one("aws:cloudwatch/dashboard:Dashboard");
    expect(dashboardName).toBe("roger-production");
    for (const metric of Object.keys(PASS_METRICS)) expect(dashboardBody).toContain(`["Roger","${metric}","Table","${table}"]`);
    const places = JSON.parse(dashboardBody).widgets.map(({ x, y }: { x: number; y: number }) => `${x}/${y}`);
    expect(new Set(places).size).toBe(places.length);
  });
});
