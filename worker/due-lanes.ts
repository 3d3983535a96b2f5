import { LIMITS } from "../core/contract/limits.ts";
import type { Due, DueRef } from "../core/job/parked.ts";
import type { Courier } from "./courier.ts";
import { dueName, inTurns } from "./due-look.ts";
import type { Emit } from "./events.ts";
import { PATIENCE_MS } from "./patient-publisher.ts";
import { endsWithin } from "./within.ts";

/** Jobs on their way to the broker at once. */
const LANES = 50;
/** Jobs that no lane waits for any more: with those under way, still fewer than the window of unconfirmed publishes holds. */
const LATE_AT_MOST = 100;
if (LANES + LATE_AT_MOST >= LIMITS.confirmWindow) throw new Error("pump: what is late must leave room in the confirm window");

/** Jobs that are to go before the plan. */
const HURRIED_AT_MOST = 1_000;

export interface DueLanesOptions {
  readonly courier: Pick<Courier, "bring">;
  readonly emit: Emit;
  /** Asked before each job. */
  mayPump(): boolean;
  /** All that was planned has been begun. */
  onWorkedOff(): void;
}

/**
 * Brings due jobs on their way, a number of them at once, the partitions in turn.
 *
 * What is to be done next is planned anew with every look, so nobody has to wait for the rest of an older plan. A lane waits
 * for its job for a moment only: one that takes longer, because its queue does not confirm, comes to its end by itself. It
 * is claimed, so no look finds it meanwhile.
 */
export class DueLanes {
  readonly #options: DueLanesOptions;
  /** Beside the plan, and before it. */
  readonly #hurried: DueRef[] = [];
  #plan: Iterator<Due> = [].values();
  /** Whether `onWorkedOff` is still to be called for this plan. */
  #planned = false;
  /** By name, as the next: the index lags, and a look shows what was claimed before or meanwhile. */
  readonly #inLanes = new Set<string>();
  /** Ended since the last plan. What is due again by then is met by the look after this. */
  readonly #ended = new Set<string>();
  readonly #lanes = new Set<Promise<void>>();
  /** Partition -> the number of its last turn. */
  #lastTurn = new Map<string, number>();
  #turn = 0;
  /** Begun, and no lane waits for them any more. */
  readonly #late = new Set<Promise<void>>();

  constructor(options: DueLanesOptions) {
    this.#options = options;
  }

  /** What a look has found takes the place of what was found before and has not been begun. */
  plan(due: readonly Due[]): void {
    const found = due.filter((each) => !this.#inLanes.has(dueName(each)) && !this.#ended.has(dueName(each)));
    this.#ended.clear();
    // Whoever has nothing due has no turn to remember.
    this.#lastTurn = new Map(
      found.flatMap(({ ref: { partition } }) => {
        const turn = this.#lastTurn.get(partition);
        return turn === undefined ? [] : [[partition, turn]];
      }),
    );
    this.#plan = inTurns(found, this.#lastTurn).values();
    this.#planned = found.length > 0;
    this.#fill();
  }

  /** Before all that is planned. One too many is left to the looks: it is in the index. */
  hurry(due: DueRef): void {
    if (this.#hurried.length >= HURRIED_AT_MOST) return;
    this.#hurried.push(due);
    this.#fill();
  }

  /**
   * Forgets what has not been begun. Resolves once all else has come to its end, what is late, too: a job whose publish is
   * cut off before its confirm is published a second time.
   */
  async end(): Promise<void> {
    this.#hurried.length = 0;
    this.plan([]);
    await Promise.all(this.#lanes);
    await Promise.all(this.#late);
  }

  #fill(): void {
    while (this.#lanes.size < LANES) {
      const due = this.#next();
      if (due === undefined) return;
      const lane = this.#bring(due).finally(() => {
        this.#lanes.delete(lane);
        this.#fill();
      });
      this.#lanes.add(lane);
    }
  }

  /** n.b. A plan may last; what has begun to fail or to end in between must not go on claiming. */
  #next(): DueRef | undefined {
    if (!this.#options.mayPump()) return undefined;
    const hurried = this.#hurried.shift();
    if (hurried !== undefined) return hurried;
    const { value, done } = this.#plan.next();
    if (!done) {
      this.#turn += 1;
      this.#lastTurn.set(value.ref.partition, this.#turn);
      return value;
    }
    if (this.#planned) {
      this.#planned = false;
      this.#options.onWorkedOff();
    }
    return undefined;
  }

  /** Never rejects: what fails for one job must not keep the others waiting. */
  async #bring(due: DueRef): Promise<void> {
    const { courier, emit } = this.#options;
    const name = dueName(due);
    this.#inLanes.add(name);
    let ended = false;
    const brought = courier
      .bring(due)
      .catch((error: unknown) => emit({ type: "trouble", doing: `bringing the parked job ${name} to its queue`, error }))
      .then(() => {
        ended = true;
        this.#late.delete(brought);
      });
    await endsWithin(PATIENCE_MS, brought);
    if (!ended && this.#late.size < LATE_AT_MOST) this.#late.add(brought);
    else await brought;
    this.#inLanes.delete(name);
    this.#ended.add(name);
  }
}
