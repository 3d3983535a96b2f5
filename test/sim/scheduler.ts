import { AsyncLocalStorage } from "node:async_hooks";
import { BrokerUnavailable } from "../../core/contract/errors.ts";
import { StoreUnavailable } from "../../store/errors.ts";
import type { Hook, PortCall } from "../../testing/calls.ts";

/** A strand of one process's work: a run, a publish of the pump, an enqueue, a cancel. It stands still at every call of a port. */
export interface Strand {
  readonly name: string;
  /** The process that it dies with. */
  readonly process: string;
  /** What it was answered so far: with the same answers it is at the same place. */
  readonly answers: string[];
  readonly pending: Set<PendingCall>;
  /** Its work has returned; a call that it did not wait for may still stand. */
  returned: boolean;
}

/** `never`: the call does not arrive. `lost`: it does, its answer does not. */
export type Fate = "arrives" | "never" | "lost";

export interface PendingCall {
  readonly call: PortCall;
  goOn(fate: Fate): void;
}

/** One for all worlds: Node leaves an entry of each that was ever used in the context of its user, and copies them all at each use. */
const RUNNING = new AsyncLocalStorage<Strand>();

/**
 * Lets strands of work take their steps one at a time, in an order of the test's own. A step is everything between two
 * calls of a port: the effect of the first call, and what follows in memory.
 */
export class Scheduler {
  /** Acks are no steps of their own. */
  acksAtOnce = false;
  readonly strands = new Map<string, Strand>();
  readonly #dead = new Set<string>();
  #settlements = 0;
  /** Calls whose answers are lost. */
  readonly #lost = new Set<PortCall>();

  /** Every call of this process stands still until it is chosen; those of a dead process for ever. */
  readonly hook: Hook = {
    before: (call) => {
      const current = RUNNING.getStore();
      if (current === undefined) return undefined;
      if (call.port === "delivery" && this.acksAtOnce) return undefined;
      // Nobody waits for an ack: it is on its way by itself, and can be lost with its process.
      const strand = call.port === "delivery" ? this.#settlement(current, call) : current;
      return new Promise<void>((resolve, reject) => {
        if (this.#dead.has(strand.process)) return;
        const pending: PendingCall = {
          call,
          goOn: (fate) => {
            strand.pending.delete(pending);
            if (strand !== current) this.#end(strand);
            if (fate === "lost") this.#lost.add(call);
            if (fate === "never") reject(outage(call));
            else resolve();
          },
        };
        strand.pending.add(pending);
      });
    },
    after: (call) => (this.#lost.delete(call) ? Promise.reject(outage(call)) : undefined),
  };

  /** The strand that runs right now. */
  get current(): Strand | undefined {
    return RUNNING.getStore();
  }

  /** A port whose answers are noted, so that equal places are known as equal. */
  observed<Port extends object>(port: Port): Port {
    const methods = Object.entries(port).map(([name, method]: [string, (...args: unknown[]) => Promise<unknown>]) => [
      name,
      async (...args: unknown[]) => {
        const answers = RUNNING.getStore()?.answers;
        try {
          const answer = await method(...args);
          answers?.push(`${name} ${JSON.stringify(answer)}`);
          return answer;
        } catch (error) {
          answers?.push(`${name} failed`);
          throw error;
        }
      },
    ]);
    return Object.fromEntries(methods) as Port;
  }

  /** Begins a strand; it runs to its first call. */
  async begin(name: string, process: string, work: () => Promise<unknown>): Promise<Strand> {
    const strand: Strand = { name, process, answers: [], pending: new Set(), returned: false };
    this.strands.set(name, strand);
    RUNNING.run(strand, () => {
      void work().then(
        () => this.#returned(strand),
        (error: unknown) => {
          this.#returned(strand);
          // What has no answer is asked again by whoever wants it: later, or by somebody else.
          if (!isOutage(error)) this.failures.push(error);
        },
      );
    });
    await quiet();
    return strand;
  }

  /** What strands threw: none should. */
  readonly failures: unknown[] = [];

  async step(strand: Strand, pending: PendingCall, fate: Fate = "arrives"): Promise<void> {
    pending.goOn(fate);
    await quiet();
    if (strand.returned && strand.pending.size === 0) this.#end(strand);
  }

  /** Not another line of this process runs. */
  kill(process: string): void {
    this.#dead.add(process);
    for (const strand of [...this.strands.values()]) if (strand.process === process) this.#end(strand);
  }

  #settlement({ name, process }: Strand, { method }: PortCall): Strand {
    this.#settlements += 1;
    const strand: Strand = { name: `the ${method} of ${name} #${this.#settlements}`, process, answers: [], pending: new Set(), returned: false };
    this.strands.set(strand.name, strand);
    return strand;
  }

  #returned(strand: Strand): void {
    strand.returned = true;
    if (strand.pending.size === 0) this.#end(strand);
  }

  #end(strand: Strand): void {
    strand.pending.clear();
    this.strands.delete(strand.name);
  }
}

function outage({ port, method }: PortCall): Error {
  const what = `${port}.${method} had no answer`;
  return port === "publisher" || port === "admin" ? new BrokerUnavailable(what) : new StoreUnavailable(what);
}

export function isOutage(error: unknown): boolean {
  return error instanceof BrokerUnavailable || error instanceof StoreUnavailable;
}

/** All that can run by itself has run. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
