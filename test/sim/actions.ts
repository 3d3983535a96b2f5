import type { Budget, Setup, SimJob } from "./setup.ts";
import type { World } from "./world.ts";

/** Something that may happen next. */
export interface Action {
  readonly label: string;
  /** A fault is never needed for the work to come to its end. */
  readonly fault: boolean;
  do(): Promise<void>;
}

/** One execution's world, and what is left of its budget. */
export class Execution {
  readonly world: World;
  readonly setup: Setup;
  readonly left: { -readonly [Fault in keyof Budget]-?: number };
  readonly #enqueued = new Set<string>();
  readonly #cancelled = new Set<string>();
  #born = 0;

  constructor(world: World, setup: Setup) {
    this.world = world;
    this.setup = setup;
    // When an ack arrives makes no difference while nothing can be lost.
    world.scheduler.acksAtOnce = setup.budget?.crashes === undefined && setup.budget?.losses === undefined && setup.killer === undefined;
    if (setup.queued === true) for (const job of setup.jobs) this.#putQueued(job);
    this.left = { crashes: 0, losses: 0, failures: 0, cancels: 0, copies: 0, jumps: 0, ...setup.budget };
  }

  /** Everything that may happen next, in an order that depends on the state alone. */
  actions(): Action[] {
    return [...this.#steps(), ...this.#settlements(), ...this.#enqueues(), ...this.#work(), ...this.#polls(), ...this.#faults()];
  }

  /** What tells this moment from others, beside the state. */
  get memory(): readonly unknown[] {
    const { world } = this;
    const strands = [...world.scheduler.strands.values()].map(({ name, answers, pending }) => [
      name.replace(/ #\d+$/, ""),
      answers,
      pending?.call.method,
    ]);
    const handlers = [...world.handlers.values()].map(({ job, ctx }) => [job.id, ctx.signal.aborted]);
    const tasks = [...world.tasks.values()].map(({ boot, row }) => [boot, row.cancelSeq]);
    const ends = [[...world.done], [...world.cancelled], [...world.accepted], [...world.declaredDead], world.row.cancelSeq, world.clock.now()];
    return [strands.sort(), handlers.sort(), tasks, ends, this.left, [...this.#enqueued], [...this.#cancelled]];
  }

  #putQueued(job: SimJob): void {
    this.#enqueued.add(job.id);
    this.world.putQueued(job);
  }

  *#steps(): Generator<Action> {
    for (const strand of this.world.scheduler.strands.values()) {
      if (strand.pending === undefined) continue;
      const { port, method } = strand.pending.call;
      yield { label: `${strand.name}: ${port}.${method}`, fault: false, do: () => this.world.scheduler.step(strand) };
    }
  }

  *#settlements(): Generator<Action> {
    for (const handler of this.world.handlers.values()) {
      const settle = (how: Parameters<typeof handler.settle>[0], fault: boolean): Action => ({
        label: `the handler of ${handler.job.id} ${how} (${handler.strand})`,
        fault,
        do: async () => {
          if (how === "throws") this.left.failures -= 1;
          handler.settle(how);
          await this.world.quiet();
        },
      });
      if (handler.job.id === this.setup.killer) {
        const [boot = ""] = handler.strand.split(" ");
        yield { label: `the handler of ${handler.job.id} kills ${boot}`, fault: false, do: () => this.#crash(boot) };
        continue;
      }
      yield settle("returns", false);
      if (handler.ctx.signal.aborted) yield settle("aborted", false);
      else if (this.left.failures > 0) yield settle("throws", true);
    }
  }

  *#enqueues(): Generator<Action> {
    for (const job of this.world.jobs) {
      if (this.#enqueued.has(job.id)) continue;
      yield {
        label: `a client enqueues ${job.id}`,
        fault: false,
        do: async () => {
          this.#enqueued.add(job.id);
          await this.world.enqueue(job);
        },
      };
      // In this order: which of equal jobs comes first makes no difference.
      return;
    }
  }

  *#work(): Generator<Action> {
    const { world, setup } = this;
    const queue = Object.values(world.state.queues)[0];
    const ready = (queue?.returned.length ?? 0) + (queue?.fresh.length ?? 0);
    const pumped = new Set([...world.scheduler.strands.keys()].filter((name) => name.includes(" pumps ")).map((name) => name.split(" ")[2]));
    for (const task of world.tasks.values()) {
      if (ready > 0 && task.runs.size < (setup.slots ?? 2)) {
        yield { label: `a message goes to ${task.boot}`, fault: false, do: async () => void (await world.deliver(task)) };
      }
    }
    // One task's pump stands for all: that two never have the same item is the claim's doing, which has tests of its own.
    const [task] = world.tasks.values();
    if (task === undefined) return;
    for (const ref of world.due()) {
      const what = ref.kind === "parked" ? ref.ref.id : "outbox";
      if (!pumped.has(what)) yield { label: `${task.boot} pumps ${what}`, fault: false, do: () => world.pump(task, ref) };
    }
  }

  *#polls(): Generator<Action> {
    const { world } = this;
    for (const task of world.tasks.values()) {
      if (task.row.cancelSeq < world.row.cancelSeq) yield { label: `${task.boot} polls`, fault: false, do: () => world.poll(task) };
    }
    for (const boot of world.dead) {
      if (!world.declaredDead.has(boot)) yield { label: `${boot} is declared dead`, fault: false, do: async () => void world.declaredDead.add(boot) };
    }
  }

  *#faults(): Generator<Action> {
    const { world, left } = this;
    const busy = new Set([...world.scheduler.strands.values()].map(({ process }) => process));
    for (const task of world.tasks.values()) {
      if (left.crashes > 0 && busy.has(task.boot)) yield { label: `CRASH of ${task.boot}`, fault: true, do: () => this.#crash(task.boot, 1) };
      if (left.losses > 0 && task.runs.size > 0) {
        yield {
          label: `CONNECTION LOST by ${task.boot}`,
          fault: true,
          do: async () => {
            left.losses -= 1;
            world.lose(task);
            await world.quiet();
          },
        };
      }
    }
    for (const process of busy) {
      if (left.crashes === 0 || world.tasks.has(process)) continue;
      yield {
        label: `CRASH of the ${process}`,
        fault: true,
        do: async () => {
          left.crashes -= 1;
          world.scheduler.kill(process);
        },
      };
    }
    for (const job of left.cancels > 0 ? world.jobs : []) {
      if (!this.#enqueued.has(job.id) || this.#cancelled.has(job.id)) continue;
      yield {
        label: `somebody cancels ${job.id}`,
        fault: true,
        do: async () => {
          left.cancels -= 1;
          this.#cancelled.add(job.id);
          await world.cancel(job);
        },
      };
    }
    for (const job of left.copies > 0 ? world.jobs : []) {
      if (!world.accepted.has(job.id)) continue;
      yield {
        label: `a copy of ${job.id}'s first message`,
        fault: true,
        do: async () => {
          left.copies -= 1;
          world.publishCopy(job);
        },
      };
    }
    const next = left.jumps > 0 ? this.nextMoment() : undefined;
    if (next !== undefined) {
      yield {
        label: `time passes: ${(next - world.clock.now()) / 1000} s`,
        fault: true,
        do: async () => {
          left.jumps -= 1;
          world.clock.advance(next - world.clock.now());
        },
      };
    }
  }

  /** When something falls due or lapses next, epoch ms. */
  nextMoment(): number | undefined {
    const { state, clock } = this.world;
    const moments = [
      ...Object.values(state.parked).map(({ due }) => due),
      ...Object.values(state.queueKeys).map(({ due = 0 }) => due),
      ...Object.values(state.locks).map(({ reservedUntil = 0 }) => reservedUntil),
    ].filter((moment) => moment > clock.now());
    return moments.length === 0 ? undefined : Math.min(...moments);
  }

  async #crash(boot: string, cost = 0): Promise<void> {
    const task = this.world.tasks.get(boot);
    if (task === undefined) return;
    this.left.crashes -= cost;
    this.world.crash(task);
    this.#born += 1;
    this.world.addTask(`N${this.#born}`);
    await this.world.quiet();
  }
}
