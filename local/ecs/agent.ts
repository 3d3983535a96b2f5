import { randomUUID } from "node:crypto";
import { z } from "zod";
import { arns } from "./arn.ts";
import type { Cluster } from "./cluster.ts";
import { EcsProblem } from "./problem.ts";
import { checkMinutes, type Protection } from "./protection.ts";
import type { Task } from "./task.ts";

/** What the agent answers on `$ECS_AGENT_URI/task-protection/v1/state`; note the capitals, other than in the API itself. */
export interface AgentAnswer {
  readonly status: 200 | 400;
  readonly body: Readonly<Record<string, unknown>>;
}

export interface ProtectedTask {
  readonly taskArn: string;
  readonly protectionEnabled: boolean;
  /** Epoch ms. */
  readonly expiresAt?: number;
}

export interface ProtectionFailure {
  readonly arn: string;
  readonly reason: "MISSING" | "TASK_NOT_VALID" | "DEPLOYMENT_BLOCKED";
}

const putSchema = z.strictObject({ ProtectionEnabled: z.boolean(), ExpiresInMinutes: z.number().optional() });

/** `GET`: a task asks whether it is protected. */
export function readState(cluster: Cluster, task: Task): AgentAnswer {
  return answer(protectionOf(cluster, task));
}

/** `PUT {"ProtectionEnabled", "ExpiresInMinutes"?}`: a task protects itself from scale-in, or no longer. */
export function writeState(cluster: Cluster, task: Task, body: unknown): AgentAnswer {
  const parsed = putSchema.safeParse(body);
  if (!parsed.success) return refused(arns.task(cluster.name, task.id), "UpdateTaskProtection: failed to decode request");
  try {
    return answer(protect(cluster, task, { enabled: parsed.data.ProtectionEnabled, minutes: parsed.data.ExpiresInMinutes }));
  } catch (error) {
    if (error instanceof EcsProblem) return refused(arns.task(cluster.name, task.id), error.message);
    throw error;
  }
}

/** Shared by the agent's path and the API. A standalone task can't be protected. */
export function protectionOf(cluster: Cluster, task: Task): ProtectedTask | ProtectionFailure {
  const arn = arns.task(cluster.name, task.id);
  if (cluster.serviceOf(task) === undefined || task.lastStatus === "STOPPED") return { arn, reason: "TASK_NOT_VALID" };
  return view(arn, task.protection);
}

/** @throws EcsProblem InvalidParameterException for minutes out of bounds */
export function protect(
  cluster: Cluster,
  task: Task,
  { enabled, minutes }: { readonly enabled: boolean; readonly minutes?: number | undefined },
): ProtectedTask | ProtectionFailure {
  if (enabled) checkMinutes(minutes);
  const arn = arns.task(cluster.name, task.id);
  const service = cluster.serviceOf(task);
  if (service === undefined || task.lastStatus === "STOPPED") return { arn, reason: "TASK_NOT_VALID" };
  if (enabled && !task.protection.enabled && !service.mayProtectOneMore) return { arn, reason: "DEPLOYMENT_BLOCKED" };
  task.protection.set(enabled, minutes);
  service.taskChanged(task);
  return view(arn, task.protection);
}

function view(taskArn: string, { enabled, expiresAt }: Protection): ProtectedTask {
  return { taskArn, protectionEnabled: enabled, ...(expiresAt === undefined ? {} : { expiresAt }) };
}

function answer(result: ProtectedTask | ProtectionFailure): AgentAnswer {
  if ("reason" in result) return { status: 200, body: { failure: { Arn: result.arn, Detail: null, Reason: result.reason } } };
  const ExpirationDate = result.expiresAt === undefined ? null : new Date(result.expiresAt).toISOString();
  return { status: 200, body: { protection: { ExpirationDate, ProtectionEnabled: result.protectionEnabled, TaskArn: result.taskArn } } };
}

function refused(arn: string, message: string): AgentAnswer {
  return { status: 400, body: { requestID: randomUUID(), error: { Arn: arn, Code: "InvalidParameterException", Message: message } } };
}
