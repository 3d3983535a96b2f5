import type { CloudEvent } from "./cloud-events.ts";

/** What people want to know of tasks and of scaling, a line each; `undefined` for the rest. */
export function describeTaskEvent(event: CloudEvent): string | undefined {
  if (event.kind === "log") return describeLog(event);
  if (event.kind !== "task") return undefined;
  const { task, status } = event;
  const name = `task ${task.id.slice(0, 8)}`;
  if (status === "RUNNING") return `${name} runs (pid ${task.pid})`;
  if (status !== "STOPPED") return undefined;
  const asked = task.stopCode === "UserInitiated" || task.stopCode === "ServiceSchedulerInitiated";
  // 143: it was asked to end before it could listen to SIGTERM, so it had taken nothing on.
  const orderly = asked && (task.exitCode === 0 || task.exitCode === 143);
  return orderly ? `${name} ended` : `${name} ended: ${task.stoppedReason} (exit code ${task.exitCode ?? "none"}), see ${task.logFile}`;
}

function describeLog({ level, message, fields }: CloudEvent & { kind: "log" }): string | undefined {
  if (level === "info" && message === "scaled") return `scaled from ${fields.before} to ${fields.after} tasks`;
  return level === "info" ? undefined : `${level}: ${message} ${JSON.stringify(fields)}`;
}
