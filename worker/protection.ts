import type { Clock } from "../core/contract/clock.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { Emit } from "./events.ts";
import type { Workforce } from "./workforce.ts";

export interface ProtectionOptions {
  /** `ECS_AGENT_URI`; without it there is nothing to protect from. */
  readonly agentUri: string | undefined;
  readonly workforce: Workforce;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Jobs that run longer than this would not survive a graceful stop, ms. */
  readonly longerThanMs: number;
}

const CHECK_MS = 5_000;
const CALL_DEADLINE_MS = 2_000;
/** Renewed well before it ends; ECS allows up to 48 hours. */
const EXPIRES_MINUTES = 60;
const RENEW_MS = 30 * 60_000;

/**
 * Asks ECS not to choose this task for scale-in while it runs a job that has outlived the time a graceful stop would
 * give it. Called on the edges only: protection also holds up deployments.
 * (AWS: "Protect your Amazon ECS tasks from being terminated by scale-in events".)
 */
export class Protection implements Service {
  readonly #options: ProtectionOptions;
  readonly #ticker: Ticker;
  #protectedAt: number | undefined;

  constructor(options: ProtectionOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: CHECK_MS,
      round: () => this.#check(),
      onError: (error) => options.emit({ type: "trouble", doing: "setting scale-in protection", error }),
    });
  }

  async start(): Promise<void> {
    if (this.#options.agentUri !== undefined) await this.#ticker.start();
  }

  async stop(): Promise<void> {
    await this.#ticker.stop();
  }

  async #check(): Promise<void> {
    const { clock } = this.#options;
    const wanted = this.#runsLongJob();
    const fresh = this.#protectedAt !== undefined && clock.monotonic() - this.#protectedAt < RENEW_MS;
    if (wanted === fresh || (!wanted && this.#protectedAt === undefined)) return;
    await this.#put(wanted);
    this.#protectedAt = wanted ? clock.monotonic() : undefined;
  }

  #runsLongJob(): boolean {
    const { workforce, clock, longerThanMs } = this.#options;
    const before = clock.now() - longerThanMs;
    for (const { worker } of workforce.queues()) {
      for (const run of worker.intake.running) if (run.startedAt < before) return true;
    }
    return false;
  }

  async #put(enabled: boolean): Promise<void> {
    const response = await fetch(`${this.#options.agentUri}/task-protection/v1/state`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(enabled ? { ProtectionEnabled: true, ExpiresInMinutes: EXPIRES_MINUTES } : { ProtectionEnabled: false }),
      signal: AbortSignal.timeout(CALL_DEADLINE_MS),
    });
    const answer = await response.text();
    if (!response.ok || answer.includes('"failure"') || answer.includes('"error"')) {
      throw new Error(`ECS answered ${response.status}: ${answer.slice(0, 300)}`);
    }
  }
}
