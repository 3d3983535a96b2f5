import { type DestinationStream, type Logger, pino } from "pino";
import type { BrokerEvent } from "../broker/events.ts";
import { describeError } from "../core/contract/errors.ts";
import type { JobLog } from "../core/job/context.ts";
import type { WorkerEvent } from "./events.ts";
import { refOf } from "./record.ts";
import type { Run } from "./run.ts";

const LEVELS: Readonly<Record<WorkerEvent["type"], "debug" | "info" | "warn" | "error">> = {
  ready: "info",
  draining: "info",
  drained: "info",
  stop_late: "warn",
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

const BROKER_LEVELS: Readonly<Record<BrokerEvent["kind"], "info" | "warn" | "error">> = {
  connected: "info",
  disconnected: "warn",
  connect_failed: "warn",
  blocked: "warn",
  unblocked: "info",
  channel_lost: "warn",
  consumer_cancelled: "warn",
  queue_created: "info",
  retrying: "warn",
  listener_failed: "error",
};

/** JSON lines, on standard output unless told otherwise. An Error is written as its name, message and stack: of itself it is `{}`. */
export function openLog(level: string, destination?: DestinationStream): Logger {
  const error = (value: unknown): unknown => (value instanceof Error ? describeError(value) : value);
  const formatters = { level: (label: string) => ({ level: label }) };
  return pino({ level, base: null, formatters, serializers: { error, err: error } }, destination);
}

/** Writes what the broker room tells as log lines. */
export function logBroker(logger: Logger): (event: BrokerEvent) => void {
  return ({ kind, ...fields }) => logger[BROKER_LEVELS[kind]](fields, `broker: ${kind.replaceAll("_", " ")}`);
}

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
