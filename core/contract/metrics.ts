/** What the scaling pass tells of the whole deployment, once a minute, and alarms and the dashboard look at. */
export const METRICS_NAMESPACE = "Roger";
/** The one dimension: deployments in the same account are told apart by their table. */
export const METRICS_DIMENSION = "Table";

/** Name -> CloudWatch's unit. */
export const PASS_METRICS = {
  /** Partitions that run or drain. */
  RunningPartitions: "Count",
  /** … of which a queue is listed in a pool where no task tells of itself. */
  UnservedPartitions: "Count",
  /** Tasks that told of themselves lately. */
  LiveTasks: "Count",
  /** … of which have no RabbitMQ. */
  DisconnectedTasks: "Count",
  /** Tasks that the services are asked for. */
  DesiredTasks: "Count",
  /** Jobs that live tasks can run at once, and those that they do run. */
  Slots: "Count",
  RunningJobs: "Count",
  /** Messages in RabbitMQ, as tasks counted them last. */
  ReadyJobs: "Count",
  /** How long the oldest parked job has been waiting for a pump, at least; 0: for less than a minute. */
  OverdueSeconds: "Seconds",
} as const;

export type PassMetric = keyof typeof PASS_METRICS;

/** The log line of a job that is buried, as worker/log.ts writes it: CloudWatch counts these. */
export const BURIED_LINE = "job buried";
