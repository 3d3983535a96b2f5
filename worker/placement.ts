import type { Partition } from "../core/partition/partition.ts";
import { isServedBesides, type ShareTask, type Sharing, targetShares, wantedShare } from "../core/partition/shares.ts";
import type { Roster } from "./roster.ts";

export interface PlacementOptions {
  readonly boot: string;
  readonly pool: string;
  readonly roster: Pick<Roster, "live" | "fingerprint">;
  /** Whether this task has no use for more work at this moment; of the others it is known from their beats. */
  isFull(): boolean;
  isDraining(): boolean;
}

/**
 * What this task should hold of every queue, by what it knows now. Asked for thousands of queues at every change among the
 * tasks, so what follows from the same row and the same tasks is computed once.
 */
export class Placement {
  readonly #options: PlacementOptions;
  /** What `#peers` and `#targets` were made from. */
  #madeFrom = "";
  #peers: readonly ShareTask[] = [];
  /** Row -> queue -> targets. A row that was replaced takes its targets with it. */
  #targets = new WeakMap<Partition, Map<string, ReadonlyMap<string, number>>>();

  constructor(options: PlacementOptions) {
    this.#options = options;
  }

  /** @param share what it holds of the queue */
  wanted(row: Partition | undefined, queue: string, share: number): number {
    if (row === undefined || this.#options.isDraining()) return 0;
    const sharing = this.#sharing(row, queue);
    return wantedShare(sharing, this.#options.boot, share, this.#targetsOf(sharing));
  }

  /**
   * Whether this task may let the queue go.
   * @param handedOver its jobs wait here, and whoever takes it over will be told
   */
  isServedElsewhere(row: Partition, queue: string, handedOver: boolean): boolean {
    const sharing = this.#sharing(row, queue);
    return isServedBesides(sharing, this.#options.boot, this.#targetsOf(sharing), handedOver);
  }

  #sharing(partition: Partition, queue: string): Sharing {
    const { roster, pool, boot, isFull } = this.#options;
    const full = isFull();
    const from = `${full}\n${roster.fingerprint}`;
    if (from !== this.#madeFrom) {
      this.#madeFrom = from;
      this.#targets = new WeakMap();
      this.#peers = roster.live
        .filter((task) => task.pool === pool)
        .map((task) => ({ boot: task.boot, slots: task.slots, full: task.boot === boot ? full : task.full || !task.connected }));
    }
    return { partition, pool, queue, tasks: this.#peers };
  }

  #targetsOf(sharing: Sharing): ReadonlyMap<string, number> {
    let byQueue = this.#targets.get(sharing.partition);
    if (byQueue === undefined) {
      byQueue = new Map();
      this.#targets.set(sharing.partition, byQueue);
    }
    let targets = byQueue.get(sharing.queue);
    if (targets === undefined) {
      targets = targetShares(sharing);
      byQueue.set(sharing.queue, targets);
    }
    return targets;
  }
}
