import type { Clock } from "../core/contract/clock.ts";
import { rendezvousOwner } from "../core/contract/hash.ts";
import type { Timings } from "../core/contract/limits.ts";
import type { Service } from "../core/contract/service.ts";
import { Ticker } from "../core/contract/ticker.ts";
import type { TaskLease, TaskStore } from "../core/partition/task-store.ts";
import type { Emit } from "./events.ts";

export interface RosterOptions {
  readonly boot: string;
  readonly tasks: TaskStore;
  readonly clock: Clock;
  readonly timings: Timings;
  readonly emit: Emit;
  /** Tasks came, went, began to drain. */
  onChange(): void;
}

interface Watched {
  readonly lease: TaskLease;
  /** When this reader first saw this beat, on its own monotonic clock. */
  readonly since: number;
  /** When this reader first saw that the task is dead. */
  readonly deadSince: number | undefined;
}

/** Leases of tasks that are dead for longer than this are forgotten; nothing of them is left by then. */
const FORGET_AFTER_MS = 10 * 60_000;
/** Owners remembered as long as the tasks stay the same: more duties than a task ever asks about, and a bound all the same. */
const OWNERS_KEPT = 100_000;

/** Among whom a duty is dealt out. By default among all living tasks. */
export interface DutyHolders {
  readonly pool?: string;
  /** Only among tasks that have RabbitMQ: nobody owns the duty while none has. */
  readonly connected?: true;
}

/**
 * The tasks there are, as this one sees them: who lives, who is dead, and whose things may be taken.
 *
 * A beat that has not moved for 20 s of *this reader's* monotonic clock makes it declare the task dead, by one
 * conditional write on that beat; no clock of one machine is ever compared with another's.
 */
export class Roster implements Service {
  readonly #options: RosterOptions;
  readonly #ticker: Ticker;
  #watched = new Map<string, Watched>();
  #fingerprint = "";
  #live: readonly TaskLease[] = [];
  /** Duty holders -> boot ids, and duty -> owner: both hold until the tasks change. A task asks for thousands of duties again and again. */
  #candidates = new Map<string, readonly string[]>();
  #owners = new Map<string, string | undefined>();

  constructor(options: RosterOptions) {
    this.#options = options;
    this.#ticker = new Ticker({
      pauseMs: options.timings.beat,
      round: () => this.refresh(),
      onError: (error) => options.emit({ type: "trouble", doing: "reading the tasks' leases", error }),
    });
  }

  /** Tasks that are alive and take new work, in every pool. */
  get live(): readonly TaskLease[] {
    return this.#live;
  }

  /** Changes whenever what tasks are dealt their work by has changed: who lives, their slots, whether they have room and RabbitMQ. */
  get fingerprint(): string {
    return this.#fingerprint;
  }

  /** Whether this task is the one among the living that does `duty`. */
  owns(duty: string, holders: DutyHolders = {}): boolean {
    const among = `${holders.pool ?? ""}/${holders.connected ?? ""}`;
    const asked = `${among}/${duty}`;
    if (!this.#owners.has(asked)) {
      if (this.#owners.size >= OWNERS_KEPT) this.#owners.clear();
      this.#owners.set(asked, rendezvousOwner(duty, this.#candidatesAmong(among, holders)));
    }
    return this.#owners.get(asked) === this.#options.boot;
  }

  /** Whether another living task of the pool has RabbitMQ, as far as this one has heard. */
  othersConnected(pool: string): boolean {
    return this.#live.some((task) => task.pool === pool && task.connected && task.boot !== this.#options.boot);
  }

  #candidatesAmong(among: string, { pool, connected }: DutyHolders): readonly string[] {
    let boots = this.#candidates.get(among);
    if (boots === undefined) {
      const tasks = this.#live.filter((task) => (pool === undefined || task.pool === pool) && (connected === undefined || task.connected));
      boots = tasks.map(({ boot }) => boot);
      this.#candidates.set(among, boots);
    }
    return boots;
  }

  /** Dead tasks whose shares may be taken now. */
  takeable(): string[] {
    const now = this.#options.clock.monotonic();
    return [...this.#watched.values()]
      .filter(({ deadSince }) => deadSince !== undefined && now - deadSince >= this.#options.timings.takeover)
      .map(({ lease }) => lease.boot);
  }

  /** Whether a lease of this task was there at the last look, alive or dead. */
  knows(boot: string): boolean {
    return this.#watched.has(boot);
  }

  /**
   * The tasks that have a lease right now, dead ones too, read for this question alone: what two looks that overlap
   * leave behind can't tell a task that is gone from one that has just come.
   */
  async present(): Promise<ReadonlySet<string>> {
    return new Set((await this.#options.tasks.leases()).map(({ boot }) => boot));
  }

  async start(): Promise<void> {
    await this.refresh();
    await this.#ticker.start();
  }

  async stop(): Promise<void> {
    await this.#ticker.stop();
  }

  /** Reads all leases, and declares dead whose beat stood still. */
  async refresh(): Promise<void> {
    const { tasks, clock, emit } = this.#options;
    const leases = await tasks.leases();
    const now = clock.monotonic();
    const before = this.#watched;
    this.#watched = new Map(leases.map((lease) => [lease.boot, watch(before.get(lease.boot), lease, now)]));
    for (const { lease, since } of this.#watched.values()) {
      if (lease.dead || lease.boot === this.#options.boot || now - since < this.#options.timings.dead) continue;
      if (!(await tasks.declareDead(lease.boot, lease.beat, clock.now()))) continue;
      emit({ type: "peer_dead", boot: lease.boot });
      this.#watched.set(lease.boot, { lease: { ...lease, dead: true }, since, deadSince: clock.monotonic() });
    }
    await this.#forgetOld(now);
    this.#publish();
  }

  async #forgetOld(now: number): Promise<void> {
    for (const { lease, deadSince } of this.#watched.values()) {
      if (deadSince === undefined || now - deadSince < FORGET_AFTER_MS || !this.owns(`forget/${lease.boot}`)) continue;
      await this.#options.tasks.forget(lease.boot);
      this.#watched.delete(lease.boot);
    }
  }

  #publish(): void {
    this.#live = [...this.#watched.values()].map(({ lease }) => lease).filter(({ dead, draining }) => !dead && !draining);
    const fingerprint = this.#live
      .map(({ boot, pool, slots, full, connected }) => `${boot} ${pool} ${slots} ${full} ${connected}`)
      .sort()
      .join("\n");
    if (fingerprint === this.#fingerprint) return;
    this.#fingerprint = fingerprint;
    this.#candidates.clear();
    this.#owners.clear();
    this.#options.onChange();
  }
}

function watch(before: Watched | undefined, lease: TaskLease, now: number): Watched {
  const since = before !== undefined && before.lease.beat === lease.beat ? before.since : now;
  return { lease, since, deadSince: lease.dead ? (before?.deadSince ?? now) : undefined };
}
