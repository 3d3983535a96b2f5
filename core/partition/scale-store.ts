import type { ScaleState } from "./desired-tasks.ts";

/**
 * Scaling passes are made by whoever has a reason to: a command, the clock, an ECS event. They run one at a time,
 * and a wish that comes while one runs is seen by that one before it ends.
 *
 * | dies after | then |
 * |---|---|
 * | `wish` | the next wish or the clock's tick makes the pass |
 * | `begin` | the claim lapses after its time; the tick makes the pass |
 * | UpdateService | the next pass finds the service as it should be |
 */
export interface ScaleStore {
  /** Says that a pass is wanted. @returns the number of the wish */
  wish(): Promise<number>;
  /** Claims the pass until `until`. @returns the state and the newest wish, or `undefined` while another pass runs */
  begin(runner: string, now: number, until: number): Promise<{ pools: Readonly<Record<string, ScaleState>>; wish: number } | undefined>;
  /** Ends the pass if no wish came since `wish` and it is still this runner's. @returns whether it ended */
  finish(runner: string, wish: number, pools: Readonly<Record<string, ScaleState>>): Promise<boolean>;
}
