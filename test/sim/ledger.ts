import type { CancelRecord, MemoryState } from "../../testing/memory-state.ts";
import { idOf, type SimJob } from "./setup.ts";

/** One life of a job, and what became of it. */
export interface Life {
  readonly job: SimJob;
  readonly enqueuedAt: number;
  readonly begun: number;
  /** When a person began the last retry that brought it back: wishes that had ended by then are overruled. */
  revived: number;
  /** Its enqueuer was told so. */
  accepted: boolean;
  /** It has not come to its end yet, as far as was seen. */
  open: boolean;
  /** Times that a handler returned, and that `onCancel` was called. */
  done: number;
  told: number;
  /** A purge was under way while it was about. */
  purged: boolean;
}

interface Wish {
  readonly id: string;
  /** `undefined` while it is under way. */
  ended: number | undefined;
}

/** What was promised in an execution, and what was seen to be kept: each accepted life must come to an end that somebody hears of. */
export class Ledger {
  readonly violations: string[] = [];
  readonly #lives = new Map<string, Life>();
  readonly #wishes: Wish[] = [];
  #killed = 0;
  #moment = 0;

  get lives(): Iterable<Life> {
    return this.#lives.values();
  }

  /** What tells this moment from others. */
  get memory(): unknown {
    const lives = [...this.#lives].map(([key, life]) => {
      const { accepted, open, done, told, purged } = life;
      return [key, accepted, open, done, told, purged, this.#isWished(life, life.revived)];
    });
    return [lives, this.#wishes.map(({ id, ended }) => [id, ended === undefined]), this.#killed];
  }

  /** Two who enqueue the same id in the same instant enqueue one life. */
  begin(job: SimJob, enqueuedAt: number): Life {
    const known = this.#lives.get(keyOf(idOf(job), enqueuedAt));
    if (known !== undefined) return known;
    const life: Life = { job, enqueuedAt, begun: this.#tick(), revived: 0, accepted: false, open: true, done: 0, told: 0, purged: false };
    this.#lives.set(keyOf(idOf(job), enqueuedAt), life);
    return life;
  }

  of(id: string, enqueuedAt: number): Life {
    const life = this.#lives.get(keyOf(id, enqueuedAt));
    if (life === undefined) throw new Error(`nobody enqueued ${id} at ${enqueuedAt}`);
    return life;
  }

  /** Somebody wishes that the job with this id end. @returns to be called when they have their answer */
  wish(id: string): () => void {
    const wish: Wish = { id, ended: undefined };
    this.#wishes.push(wish);
    return () => {
      wish.ended = this.#tick();
    };
  }

  /** A person retries what is buried of a life. @returns to be called when it is brought back */
  reviving(life: Life): () => void {
    const began = this.#tick();
    return () => {
      life.revived = Math.max(life.revived, began);
      // It may have run to its end already: then its end was seen after its beginning here.
      if (life.done === 0) life.open = true;
    };
  }

  done(life: Life): void {
    life.done += 1;
    life.open = false;
  }

  /** A handler has started that will kill its process: one of so many at most. */
  kills({ job }: Life, most: number): void {
    this.#killed += 1;
    if (this.#killed > most) this.violations.push(`${job.name} kills process number ${this.#killed}`);
  }

  /** `onCancel` was called. */
  told(life: Life): void {
    life.told += 1;
    // A copy from before the retry may still be told of; what was brought back must come to an end of its own.
    if (this.#isWished(life, life.revived)) life.open = false;
    const { name } = life.job;
    if (life.told > 1) this.violations.push(`onCancel of ${name} was called ${life.told} times in one life`);
    if (!this.#isWished(life, life.begun)) this.violations.push(`${name} was cancelled in a life that nobody cancelled`);
  }

  /** From now on a purge is entitled to all that is about. @returns to be called at its end: until then also to what comes */
  purging(): () => void {
    const take = (): void => {
      for (const life of this.#lives.values()) life.purged = true;
    };
    take();
    return take;
  }

  /**
   * What is wrong with how it all ended; `undefined` when every accepted life has come to its end.
   * @param killer the job that must be buried as poison
   */
  unkept({ buried, cancels }: MemoryState, partition: string, killer: string | undefined): string | undefined {
    for (const life of this.#lives.values()) {
      const { job, enqueuedAt, accepted, open, told, purged } = life;
      const grave = buried[`${partition}/${idOf(job)}`];
      // One that was retried and cancelled once more after it had been told of: it is told of once.
      const again = told > 0 && this.#isWished(life, life.revived) && isHit(cancels[`${partition}/`]?.[idOf(job)], enqueuedAt);
      const isBuried = grave !== undefined && (grave.enqueuedAt ?? 0) >= enqueuedAt;
      if (accepted && open && !isBuried && !again && !purged) return `job ${job.name} is lost`;
      if (grave !== undefined && (grave.reason === "poison") !== (job.name === killer) && grave.reason !== "discarded")
        return `job ${job.name} is buried as ${grave.reason}`;
    }
    return undefined;
  }

  /** Whether somebody's wish that it end was under way at that time, or came later. */
  #isWished({ job }: Life, since: number): boolean {
    return this.#wishes.some(({ id, ended = Infinity }) => id === idOf(job) && ended > since);
  }

  #tick(): number {
    this.#moment += 1;
    return this.#moment;
  }
}

function isHit(mark: CancelRecord | undefined, enqueuedAt: number): boolean {
  return mark?.hitLife !== undefined && mark.hitLife >= enqueuedAt;
}

function keyOf(id: string, enqueuedAt: number): string {
  return `${id}@${enqueuedAt}`;
}
