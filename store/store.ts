import type { DynamoDBDocumentClient } from "@aws-sdk/lib-dynamodb";
import type { Clock } from "../core/contract/clock.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import type { ParkedStore } from "../core/job/parked.ts";
import type { SuspectStore } from "../core/job/suspects.ts";
import type { ExecutionKeyStore } from "../core/keys/execution-key-store.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { Belongings } from "../core/partition/belongings.ts";
import type { PartitionStore } from "../core/partition/partition-store.ts";
import type { ScaleStore } from "../core/partition/scale-store.ts";
import type { TaskStore } from "../core/partition/task-store.ts";
import { belongings } from "./belongings.ts";
import { buriedStore } from "./buried.ts";
import { cancelStore } from "./cancels.ts";
import { executionKeyStore } from "./execution-keys.ts";
import type { Table } from "./items.ts";
import { parkedStore } from "./parked.ts";
import { partitionStore } from "./partitions.ts";
import { queueKeyStore } from "./queue-keys.ts";
import { scaleStore } from "./scale.ts";
import { suspectStore } from "./suspects.ts";
import { taskStore } from "./tasks.ts";

/** All state that outlives a process and is not a queued job. */
export interface Store {
  readonly partitions: PartitionStore;
  readonly tasks: TaskStore;
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly queueKeys: QueueKeyStore;
  readonly executionKeys: ExecutionKeyStore;
  readonly cancels: CancelStore;
  readonly suspects: SuspectStore;
  readonly belongings: Belongings;
  readonly scale: ScaleStore;
}

export interface StoreOptions {
  readonly document: DynamoDBDocumentClient;
  /** The table's name. */
  readonly table: string;
  readonly clock: Clock;
}

/** Sends nothing yet. Every method may throw StoreUnavailable (ask again) or StoreRefused (asking again won't help). */
export function openStore({ document, table, clock }: StoreOptions): Store {
  const opened: Table = { document, name: table, clock };
  return {
    partitions: partitionStore(opened),
    tasks: taskStore(opened),
    parked: parkedStore(opened),
    buried: buriedStore(opened),
    queueKeys: queueKeyStore(opened),
    executionKeys: executionKeyStore(opened),
    cancels: cancelStore(opened),
    suspects: suspectStore(opened),
    belongings: belongings(opened),
    scale: scaleStore(opened),
  };
}
