import { DEFAULT_POOL } from "../core/contract/names.ts";
import type { Partition } from "../core/partition/partition.ts";
import type { PartitionRows } from "../worker/courier.ts";

/** Partitions as the kit has them: each that is named runs, with every queue that was named. */
export class TestRows implements PartitionRows {
  readonly #rows = new Map<string, Partition>();

  get(id: string): Partition | undefined {
    return this.#rows.get(id);
  }

  async refresh(id: string): Promise<Partition | undefined> {
    return this.get(id);
  }

  name(partition: string, queue: string): void {
    const row = this.get(partition) ?? { id: partition, status: "running", revision: 1, pools: {}, paused: [], held: {}, shares: {}, cancelSeq: 0 };
    this.#rows.set(partition, { ...row, pools: { [DEFAULT_POOL]: { ...row.pools[DEFAULT_POOL], [queue]: 1 } } });
  }

  /** There is a new cancel marker. @returns the row that says so; `undefined` when there is no such partition */
  cancelled(partition: string): Partition | undefined {
    const row = this.get(partition);
    if (row === undefined) return undefined;
    const changed = { ...row, cancelSeq: row.cancelSeq + 1 };
    this.#rows.set(partition, changed);
    return changed;
  }
}
