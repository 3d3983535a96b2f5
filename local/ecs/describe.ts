import type { Container, Deployment as DeploymentView, Service as ServiceView, Task as TaskView } from "@aws-sdk/client-ecs";
import { arns } from "./arn.ts";
import type { Cluster } from "./cluster.ts";
import type { EcsService } from "./service.ts";
import type { Task, TaskDefinition } from "./task.ts";

/** The SDK's own shapes, with times as the wire has them: epoch seconds. */
type Wire<T> = { [K in keyof T]?: Exclude<T[K], undefined> extends Date ? number | undefined : Wire<T[K]> };

export function describeTask(cluster: Cluster, task: Task): Wire<TaskView> {
  return {
    taskArn: arns.task(cluster.name, task.id),
    clusterArn: cluster.arn,
    taskDefinitionArn: definitionArn(task.definition),
    group: task.group,
    startedBy: task.startedBy,
    launchType: "FARGATE",
    lastStatus: task.lastStatus,
    desiredStatus: task.desiredStatus,
    createdAt: seconds(task.createdAt),
    startedAt: seconds(task.startedAt),
    stoppingAt: seconds(task.stoppingAt),
    stoppedAt: seconds(task.stoppedAt),
    stopCode: task.stopCode,
    stoppedReason: task.stoppedReason,
    containers: [describeContainer(cluster, task)],
  };
}

function describeContainer(cluster: Cluster, task: Task): Wire<Container> {
  return {
    name: task.definition.family,
    containerArn: containerArn(cluster, task),
    taskArn: arns.task(cluster.name, task.id),
    lastStatus:
      task.lastStatus === "RUNNING" || task.lastStatus === "STOPPED" ? task.lastStatus : task.startedAt === undefined ? "PENDING" : "RUNNING",
    runtimeId: task.pid === undefined ? undefined : String(task.pid),
    exitCode: task.exitCode,
    reason: task.stopCode === "TaskFailedToStart" ? task.stoppedReason : undefined,
  };
}

export function describeService(cluster: Cluster, service: EcsService): Wire<ServiceView> {
  const counts = (tasks: readonly Task[]) => ({
    runningCount: tasks.filter(({ lastStatus }) => lastStatus === "RUNNING").length,
    pendingCount: tasks.filter(({ lastStatus }) => lastStatus === "PROVISIONING" || lastStatus === "PENDING").length,
  });
  const old = service.tasks.filter((task) => task.startedBy !== service.deployment.id);
  const current = counts(service.tasks.filter((task) => task.startedBy === service.deployment.id));
  const primary: Wire<DeploymentView> = {
    id: service.deployment.id,
    status: "PRIMARY",
    taskDefinition: definitionArn(service.definition),
    desiredCount: service.desiredCount,
    ...current,
    createdAt: seconds(service.deployment.createdAt),
    rolloutState: old.length === 0 && current.runningCount === service.desiredCount ? "COMPLETED" : "IN_PROGRESS",
  };
  const olderIds = [...new Set(old.map(({ startedBy }) => startedBy))];
  const older = olderIds.map((id): Wire<DeploymentView> => {
    return { id, status: "ACTIVE", taskDefinition: definitionArn(service.definition), ...counts(old.filter(({ startedBy }) => startedBy === id)) };
  });
  return {
    serviceArn: arns.service(cluster.name, service.name),
    serviceName: service.name,
    clusterArn: cluster.arn,
    status: "ACTIVE",
    launchType: "FARGATE",
    schedulingStrategy: "REPLICA",
    taskDefinition: definitionArn(service.definition),
    desiredCount: service.desiredCount,
    ...counts(service.tasks),
    createdAt: seconds(service.createdAt),
    deployments: [primary, ...older],
    events: service.events.map(({ id, createdAt, message }) => ({ id, createdAt: seconds(createdAt), message })),
  };
}

export function definitionArn({ family, revision }: TaskDefinition): string {
  return arns.taskDefinition(family, revision);
}

/** A task has one container; it shares the task's id. */
export function containerArn(cluster: Cluster, task: Task): string {
  return arns.container(cluster.name, task.id, task.id);
}

function seconds(ms: number): number;
function seconds(ms: number | undefined): number | undefined;
function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1000;
}
