import type { Envelope } from "../core/job/envelope.ts";
import { lifeOf } from "../core/job/life.ts";
import type { NewParkedJob } from "../core/job/parked.ts";
import type { ExecutionKeys } from "../core/keys/execution-key.ts";
import type { ExecutionKeyRef } from "../core/keys/execution-key-store.ts";
import type { KeyAnswer, QueueKeys } from "../core/keys/queue-key.ts";
import type { QueueKeyRef } from "../core/keys/queue-key-ref.ts";
import { type RunIdentity, runId } from "../core/keys/runs.ts";
import type { Debts } from "./debts.ts";
import type { KnownRuns } from "./known-runs.ts";
import type { Run } from "./run.ts";

export interface KeyringOptions {
  /** The task. */
  readonly boot: string;
  readonly queueKeys: QueueKeys;
  readonly executionKeys: ExecutionKeys;
  readonly runs: KnownRuns;
  readonly debts: Debts;
}

/** A request that had no answer can't land any more after this: above the SDK's own deadlines and repeats. */
const LATE_WRITE_MS = 30_000;

/** What became of a run's wish for its keys: core/keys/queue-key.ts says which; `busy`: its execution key is another run's. */
export type Taken = { readonly kind: KeyAnswer } | { readonly kind: "busy"; readonly heldByItself: boolean };

/**
 * The keys of one run: its queue key first, then its execution key; given back in the same order as the job's outcome
 * asks for. A job without keys has no claims, and costs nothing.
 *
 * | the run ends with | its queue key | its execution key |
 * |---|---|---|
 * | done, buried | `done` | free, the oldest waiter woken |
 * | the next attempt, or the same one later | queued, no run | free, the oldest waiter woken |
 * | handed back | queued, no run | free, reserved for itself |
 *
 * What the table will not take is owed (worker/debts.ts): the run stays known until it is paid, so this task never takes
 * its own keys for lost.
 */
export class Claims {
  readonly #options: KeyringOptions;
  readonly #me: RunIdentity;
  readonly #attempt: number;
  readonly #queueKey: QueueKeyRef | undefined;
  readonly #executionKey: ExecutionKeyRef | undefined;

  constructor(options: KeyringOptions, envelope: Envelope, run: Run) {
    const { partition, queue, attempt, queue_key, execution_key } = envelope;
    this.#options = options;
    this.#me = { ...lifeOf(envelope), run: runId(options.boot, run), task: options.boot, queue };
    this.#attempt = attempt;
    this.#queueKey = queue_key === undefined ? undefined : { partition, key: queue_key };
    this.#executionKey = execution_key === undefined ? undefined : { partition, key: execution_key };
  }

  /** Takes what the job needs, or nothing. @throws StoreUnavailable: then what it may hold is given back, and again a while later */
  async take(run: Run): Promise<Taken> {
    this.#options.runs.add(this.#me);
    try {
      const taken = await this.#take(run);
      if (taken.kind !== "mine") this.#options.runs.delete(this.#me);
      return taken;
    } catch (error) {
      // Whether it was written is not known, and it may still be: so once more, when no request of ours can be under way.
      await this.#handBack().catch(() => undefined);
      this.#options.debts.owe(() => this.handBack(), LATE_WRITE_MS);
      throw error;
    }
  }

  async #take(run: Run): Promise<Taken> {
    const { queueKeys, executionKeys } = this.#options;
    if (this.#queueKey !== undefined) {
      const answer = await queueKeys.begin(this.#queueKey, this.#me, this.#attempt);
      if (answer !== "mine") return { kind: answer };
    }
    if (this.#executionKey === undefined) return { kind: "mine" };
    const answer = await executionKeys.acquire(this.#executionKey, this.#me);
    if (answer.acquired) {
      run.token = answer.token;
      return { kind: "mine" };
    }
    // It will wait as a parked job, and a parked job holds nothing.
    if (this.#queueKey !== undefined) await queueKeys.giveBack(this.#queueKey, this.#me, this.#attempt);
    return { kind: "busy", heldByItself: answer.lock?.holder === this.#me.job };
  }

  /**
   * The job has come to its end.
   * @throws StoreUnavailable when its queue key could not be told so: the message must not be acked then, for nothing else
   *   would ever free the key
   */
  async finish(): Promise<void> {
    const { queueKeys } = this.#options;
    if (this.#queueKey !== undefined) await queueKeys.finish(this.#queueKey, this.#me);
    await this.#orOwe(() => this.#release());
  }

  /** The attempt has come to its end; the job goes on with `attempt`, which is parked. Never fails. */
  goOn(attempt: number): Promise<void> {
    return this.#orOwe(async () => {
      if (this.#queueKey !== undefined) await this.#options.queueKeys.giveBack(this.#queueKey, this.#me, attempt);
      await this.#release();
    });
  }

  /** The job goes back to its queue as it came. Never fails. */
  handBack(): Promise<void> {
    return this.#orOwe(() => this.#handBack());
  }

  async #release(): Promise<void> {
    if (this.#executionKey !== undefined) await this.#options.executionKeys.release(this.#executionKey, this.#me);
  }

  async #handBack(): Promise<void> {
    const { queueKeys, executionKeys } = this.#options;
    if (this.#queueKey !== undefined) await queueKeys.giveBack(this.#queueKey, this.#me, this.#attempt);
    if (this.#executionKey !== undefined) await executionKeys.handBack(this.#executionKey, this.#me);
  }

  /** Leaves the keys by `leave`; what the table won't take now is owed. */
  async #orOwe(leave: () => Promise<void>): Promise<void> {
    const { debts, runs } = this.#options;
    const paid = async (): Promise<void> => {
      await leave();
      runs.delete(this.#me);
    };
    await paid().catch(() => debts.owe(paid));
  }
}

/** The keys of this task's jobs. */
export class Keyring {
  readonly #options: KeyringOptions;
  #abandoned = 0;

  constructor(options: KeyringOptions) {
    this.#options = options;
  }

  /** @returns `undefined` for a job without keys: it has nothing to ask for */
  claimsOf(envelope: Envelope, run: Run): Claims | undefined {
    const keyless = envelope.queue_key === undefined && envelope.execution_key === undefined;
    return keyless ? undefined : new Claims(this.#options, envelope, run);
  }

  /** The job's execution key is busy: it gets into line and is parked. Its message may be acked once this resolves. */
  async wait({ partition, execution_key }: Envelope, job: NewParkedJob): Promise<void> {
    if (execution_key === undefined) throw new Error(`job ${job.id} has no execution key to wait for`);
    await this.#options.executionKeys.wait({ partition, key: execution_key }, job);
  }

  /**
   * Frees what a job that will not run has of its keys: it was cancelled, or is buried before it could run. A lock that it
   * holds through a run that has ended is taken and released like any other, so that the next waiter is woken at once.
   * @returns `false` when a run of this job may be alive: ask again later
   * @throws StoreUnavailable
   */
  async abandon(envelope: Envelope): Promise<boolean> {
    const { partition, attempt, queue_key, execution_key } = envelope;
    const life = lifeOf(envelope);
    const { boot, queueKeys, executionKeys, runs, debts } = this.#options;
    if (queue_key !== undefined && !(await queueKeys.release({ partition, key: queue_key }, life, attempt))) return false;
    if (execution_key === undefined) return true;
    const ref = { partition, key: execution_key };
    this.#abandoned += 1;
    const me = { ...life, run: `${boot}/abandon-${this.#abandoned}`, task: boot };
    runs.add(me);
    const leave = async (): Promise<void> => {
      await executionKeys.release(ref, me);
      runs.delete(me);
    };
    try {
      const answer = await executionKeys.acquire(ref, me);
      if (!answer.acquired) await executionKeys.forsake(ref, life);
      await leave();
      return true;
    } catch (error) {
      debts.owe(leave);
      throw error;
    }
  }
}
