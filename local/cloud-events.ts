import type { Log } from "../functions/deps.ts";
import type { Task, TaskStatus } from "./ecs/task.ts";

export type CloudPart = "DynamoDB" | "RabbitMQ" | "ECS" | "API";

/**
 * What happens in the local cloud, for whoever shows it.
 *
 * | kind | when |
 * |---|---|
 * | `up` | a part is ready, `afterMs` after the cloud was begun |
 * | `progress` | something takes long, and says so |
 * | `task` | a task's `lastStatus` has changed |
 * | `log` | a line of what would be a Lambda's log |
 */
export type CloudEvent =
  | { readonly kind: "up"; readonly part: CloudPart; readonly how: string; readonly afterMs: number }
  | { readonly kind: "progress"; readonly line: string }
  | { readonly kind: "task"; readonly task: Task; readonly status: TaskStatus }
  | { readonly kind: "log"; readonly level: "info" | "warn" | "error"; readonly message: string; readonly fields: Readonly<Record<string, unknown>> };

/** Must not throw. */
export type CloudListener = (event: CloudEvent) => void;

/** Hands what the functions log to the listener. */
export function logTo(onEvent: CloudListener): Log {
  const write =
    (level: "info" | "warn" | "error") =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      onEvent({ kind: "log", level, message, fields });
    };
  return { info: write("info"), warn: write("warn"), error: write("error") };
}
