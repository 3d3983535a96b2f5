import type { Clock } from "../../core/contract/clock.ts";
import { EcsProblem } from "./problem.ts";

const DEFAULT_MINUTES = 120;
const MAX_MINUTES = 2_880;

/** Scale-in protection of one task: it lapses by itself. */
export class Protection {
  readonly #clock: Clock;
  #until = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Epoch ms; `undefined` when not protected. */
  get expiresAt(): number | undefined {
    return this.#until > this.#clock.now() ? this.#until : undefined;
  }

  get enabled(): boolean {
    return this.expiresAt !== undefined;
  }

  /** Every call starts the time anew, as in ECS. */
  set(enabled: boolean, minutes = DEFAULT_MINUTES): void {
    this.#until = enabled ? this.#clock.now() + minutes * 60_000 : 0;
  }
}

/** @throws EcsProblem InvalidParameterException: ECS takes 1 to 2,880 minutes */
export function checkMinutes(minutes: number | undefined): void {
  if (minutes === undefined || (Number.isSafeInteger(minutes) && minutes >= 1 && minutes <= MAX_MINUTES)) return;
  throw new EcsProblem("InvalidParameterException", `expiresInMinutes must be between 1 and ${MAX_MINUTES}, not ${minutes}`);
}
