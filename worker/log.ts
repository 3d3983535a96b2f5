import type { Logger } from "pino";
import { describeError } from "../core/contract/errors.ts";
import type { JobLog } from "../core/job/context.ts";
import type { WorkerEvent } from "./events.ts";
import { refOf } from "./record.ts";
import type { Run } from "./run.ts";

const LEVELS: Readonly<Record<WorkerEvent["type"], "debug" | "info" | "warn" | "error">> = {
  ready: "info",
  draining: "info",
  drained: "info",
  lease_late: "warn",
  lease_regained: "info",
  lease_lost: "error",
  peer_dead: "warn",
  evicted: "warn",
  broker: "info",
  job_retried: "info",
  job_buried: "warn",
  job_parked: "info",
  job_cancelled: "info",
  job_stuck: "warn",
  job_handed_back: "info",
  trouble: "warn",
};

/** Writes a task's events as log lines: a subscriber like any other. */
export function logEvents(logger: Logger): (event: WorkerEvent) => void {
  return (event) => {
    const { type, ...fields } = event;
    const line = "error" in fields ? { ...fields, error: describeError(fields.error) } : fields;
    logger[LEVELS[type]](line, type.replaceAll("_", " "));
  };
}

/** A handler's own log: every line says which job it belongs to. */
export function jobLog(logger: Logger, run: Run): JobLog {
  const child = logger.child({ job: run.envelope === undefined ? undefined : refOf(run.envelope) });
  return {
    debug: (message, fields) => child.debug(fields ?? {}, message),
    info: (message, fields) => child.info(fields ?? {}, message),
    warn: (message, fields) => child.warn(fields ?? {}, message),
    error: (message, fields) => child.error(fields ?? {}, message),
  };
}
