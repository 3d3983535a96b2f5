/**
 * The one table, as data: what infra deploys and the emulator is given.
 *
 * | pk | sk | item | file |
 * |---|---|---|---|
 * | `CLUSTER` | `CLUSTER` | version counters | cluster.ts |
 * | `PARTITIONS#<shard>` | partition id | a tenant's row | partition-row.ts |
 * | `TASKS` | boot id | a task's lease | tasks.ts |
 * | `TASKINFO` | boot id | what a task reports | task-reports.ts |
 * | `PARKED#<partition>` | job id | a job that waits | parked.ts |
 * | `BURIED#<partition>` | job id | a job that is dead | buried.ts |
 * | `KEY#<partition>` | hash of the key | a queue key, with the job inside until it is published | queue-keys.ts |
 * | `LOCK#<partition>` | `<hash of the key>#LOCK` | an execution key | execution-keys.ts |
 * | `LOCK#<partition>` | `<hash of the key>#W#<enqueued at>#<job id>` | a job that waits for it | execution-keys.ts |
 * | `CANCELS#<partition>` | job id | a cancel marker | cancels.ts |
 * | `CANCELSLOTS#<partition>` | `SLOTS` | how many markers there may be | cancel-slots.ts |
 * | `SUSPECT#<partition>` | job id | the starts of a job that may kill its worker | suspects.ts |
 * | `FORMER#<partition>` | queue | a queue that the partition lists no longer, for its deletion | partitions.ts |
 * | `SCALE` | `SCALE` | the scaling pass | scale.ts |
 *
 * The files are those of store/. Parked jobs, and queue keys with a job inside, alone carry `due_pk`, so the index
 * `due` holds nothing else. Its keys are `DUE#0` to `DUE#15`; a partition's items are at two of them (core/job/due-shard.ts).
 */
export const TABLE = {
  fields: { pk: "string", sk: "string", due_pk: "string", due: "number" },
  key: { hash: "pk", range: "sk" },
  indexes: { due: { hash: "due_pk", range: "due", projection: "keys-only" } },
  /** Epoch seconds. Only garbage collection: whoever reads compares the time itself. */
  ttl: "expires",
  billing: "on-demand",
} as const;

/** The index of parked jobs and of queue keys with a job inside, by `due`. */
export const DUE_INDEX = "due";
