import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { arns } from "./arn.ts";
import type { Cluster } from "./cluster.ts";
import { containerArn, definitionArn } from "./describe.ts";
import type { Task } from "./task.ts";

/**
 * What a task is told about itself: the task metadata endpoint, version 4, as far as a process has it (no image, limits or networks).
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate-response.html
 */
export function containerMetadata(cluster: Cluster, task: Task): Record<string, unknown> {
  const { family, revision } = task.definition;
  return {
    DockerId: task.id,
    Name: family,
    DockerName: family,
    Labels: {
      "com.amazonaws.ecs.cluster": cluster.arn,
      "com.amazonaws.ecs.container-name": family,
      "com.amazonaws.ecs.task-arn": arns.task(cluster.name, task.id),
      "com.amazonaws.ecs.task-definition-family": family,
      "com.amazonaws.ecs.task-definition-version": String(revision),
    },
    DesiredStatus: task.desiredStatus,
    KnownStatus: task.lastStatus,
    CreatedAt: iso(task.createdAt),
    StartedAt: iso(task.startedAt),
    Type: "NORMAL",
    ContainerARN: containerArn(cluster, task),
  };
}

export function taskMetadata(cluster: Cluster, task: Task): Record<string, unknown> {
  return {
    Cluster: cluster.arn,
    TaskARN: arns.task(cluster.name, task.id),
    TaskDefinitionARN: definitionArn(task.definition),
    Family: task.definition.family,
    Revision: String(task.definition.revision),
    ServiceName: cluster.serviceOf(task)?.name,
    DesiredStatus: task.desiredStatus,
    KnownStatus: task.lastStatus,
    LaunchType: "FARGATE",
    AvailabilityZone: "local",
    Containers: [containerMetadata(cluster, task)],
  };
}

/** Memory and CPU of the task's process in the form of Docker's stats; null while it doesn't run, as the agent answers. */
export async function containerStats(task: Task, now: number): Promise<Record<string, unknown> | null> {
  if (task.pid === undefined || task.lastStatus === "STOPPED") return null;
  const usage = await processUsage(task.pid);
  if (usage === undefined) return null;
  return {
    read: iso(now),
    id: task.id,
    name: task.definition.family,
    memory_stats: { usage: usage.memoryBytes },
    cpu_stats: { cpu_usage: { total_usage: usage.cpuNs } },
  };
}

/** `ps` is the one way that Linux and macOS share. */
async function processUsage(pid: number): Promise<{ memoryBytes: number; cpuNs: number } | undefined> {
  let output: string;
  try {
    output = (await promisify(execFile)("ps", ["-o", "rss=,time=", "-p", String(pid)])).stdout;
  } catch {
    // ps fails when the process has ended meanwhile, or is not installed: either way there is nothing to tell.
    return undefined;
  }
  const [rss = "0", time = "0"] = output.trim().split(/\s+/);
  return { memoryBytes: Number(rss) * 1024, cpuNs: cpuSeconds(time) * 1e9 };
}

/** `[[dd-]hh:]mm:ss[.cc]` */
function cpuSeconds(time: string): number {
  const [days, clock] = time.includes("-") ? time.split("-") : ["0", time];
  return Number(days) * 86_400 + (clock ?? "0").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
}

function iso(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}
