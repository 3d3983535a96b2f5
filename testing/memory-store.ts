import type { Clock } from "../core/contract/clock.ts";
import type { BuriedStore } from "../core/job/buried.ts";
import type { CancelStore } from "../core/job/cancels.ts";
import type { ParkedStore } from "../core/job/parked.ts";
import type { SuspectStore } from "../core/job/suspects.ts";
import type { ExecutionKeyStore } from "../core/keys/execution-key-store.ts";
import type { QueueKeyStore } from "../core/keys/queue-key-store.ts";
import type { Belongings } from "../core/partition/belongings.ts";
import { memoryBelongings } from "./belongings.ts";
import { memoryBuried } from "./buried.ts";
import { type Hook, NO_HOOK } from "./calls.ts";
import { memoryCancels } from "./cancels.ts";
import { memoryExecutionKeys } from "./execution-keys.ts";
import { emptyState, type MemoryState } from "./memory-state.ts";
import { memoryParked } from "./parked.ts";
import { memoryQueueKeys } from "./queue-keys.ts";
import { memorySuspects } from "./suspects.ts";

/** What a job's way through a worker needs of the table, in memory. */
export interface MemoryStore {
  readonly parked: ParkedStore;
  readonly buried: BuriedStore;
  readonly queueKeys: QueueKeyStore;
  readonly executionKeys: ExecutionKeyStore;
  readonly cancels: CancelStore;
  readonly suspects: SuspectStore;
  readonly belongings: Belongings;
}

export interface MemoryStoreOptions {
  readonly clock: Clock;
  /** Shared by all processes of a test. @default an empty one */
  readonly state?: MemoryState;
  /** This process's. @default every call goes on at once */
  readonly hook?: Hook;
}

/** The ports of store/ as one process sees them. */
export function memoryStore({ clock, state = emptyState(), hook = NO_HOOK }: MemoryStoreOptions): MemoryStore {
  const world = { state, clock, hook };
  return {
    parked: memoryParked(world),
    buried: memoryBuried(world),
    queueKeys: memoryQueueKeys(world),
    executionKeys: memoryExecutionKeys(world),
    cancels: memoryCancels(world),
    suspects: memorySuspects(world),
    belongings: memoryBelongings(world),
  };
}
