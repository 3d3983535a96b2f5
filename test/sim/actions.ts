import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import { Outside } from "./outside.ts";
import { type Action, type Budget, idOf, type Setup, type SimJob } from "./setup.ts";
import { type Handler, type SimTask, type World, whatOf } from "./world.ts";

const NONE = {
  ...{ crashes: 0, losses: 0, failures: 0, burials: 0, cancels: 0, revives: 0, purges: 0 },
  ...{ copies: 0, jumps: 0, lives: 0, hours: 0, lapses: 0, errors: 0 },
} as const;

/** One execution's world, and what is left of its budget. */
export class Execution {
  readonly world: World;
  readonly outside: Outside;
  readonly setup: Setup;
  readonly left: { -readonly [Fault in keyof Budget]-?: number };
  /** How often each job was enqueued. */
  readonly enqueued = new Map<SimJob, number>();
  #born = 0;

  constructor(world: World, setup: Setup) {
    this.world = world;
    this.outside = new Outside(world);
    this.setup = setup;
    const { crashes, losses, errors } = setup.budget ?? {};
    // When an ack arrives makes no difference while nothing can be lost.
    world.scheduler.acksAtOnce = [crashes, losses, errors, setup.killer].every((fault) => fault === undefined);
    this.left = { ...NONE, ...setup.budget };
    if (setup.queued !== true) return;
    for (const job of setup.jobs) {
      this.enqueued.set(job, 1);
      world.putQueued(job);
    }
  }

  /** All that may go on as it should, in an order that depends on the state alone. */
  actions(): Action[] {
    return [...this.#steps(), ...this.#settlements(), ...this.#enqueues(), ...this.#work(), ...this.#upkeep()];
  }

  /** What tells this moment from others, beside the state. */
  get memory(): readonly unknown[] {
    const { world } = this;
    const strands = [...world.scheduler.strands.values()].map(({ name, answers, pending }) => [
      name.replaceAll(/ #\d+/g, ""),
      answers,
      [...pending].map(({ call }) => call.method),
    ]);
    const handlers = [...world.handlers.values()].map(({ life, ctx, strand }) => [
      idOf(life.job),
      life.enqueuedAt,
      strand.replaceAll(/ #\d+/g, ""),
      ctx.signal.aborted,
    ]);
    const tasks = [...world.tasks.values()].map(({ boot, row, pipeline }) => [boot, row.cancelSeq, pipeline.debts.nextAt]);
    const rest = [world.ledger.memory, [...world.declaredDead], world.row.cancelSeq, world.clock.now()];
    return [strands.sort(), handlers.sort(), tasks, rest, this.left, [...this.enqueued.values()]];
  }

  async enqueue(job: SimJob): Promise<void> {
    const times = this.enqueued.get(job) ?? 0;
    this.enqueued.set(job, times + 1);
    await this.outside.enqueue(job, this.setup.skewMs?.[times] ?? 0);
  }

  async crash(boot: string): Promise<void> {
    const task = this.world.tasks.get(boot);
    if (task === undefined) return;
    this.world.crash(task);
    this.#born += 1;
    this.world.addTask(`N${this.#born}`);
    await this.world.quiet();
  }

  *#steps(): Generator<Action> {
    const { scheduler } = this.world;
    for (const strand of scheduler.strands.values()) {
      for (const pending of strand.pending) {
        const { port, method } = pending.call;
        yield { label: `${strand.name}: ${port}.${method}`, fault: false, do: () => scheduler.step(strand, pending) };
      }
    }
  }

  *#settlements(): Generator<Action> {
    const { left } = this;
    for (const handler of this.world.handlers.values()) {
      const { job } = handler.life;
      if (job.name === this.setup.killer) {
        const [boot = ""] = handler.strand.split(" ");
        yield { label: `the handler of ${job.name} kills ${boot}`, fault: false, do: () => this.crash(boot) };
        continue;
      }
      yield this.#settlement(handler, "returns");
      if (handler.ctx.signal.aborted) yield this.#settlement(handler, "aborted");
      else {
        if (left.failures > 0) yield this.#settlement(handler, "throws");
        if (left.burials > 0) yield this.#settlement(handler, "discards");
      }
    }
  }

  #settlement(handler: Handler, how: Parameters<Handler["settle"]>[0]): Action {
    return {
      label: `the handler of ${handler.life.job.name} ${how} (${handler.strand})`,
      fault: how === "throws" || how === "discards",
      do: async () => {
        if (how === "throws") this.left.failures -= 1;
        if (how === "discards") this.left.burials -= 1;
        handler.settle(how);
        await this.world.quiet();
      },
    };
  }

  *#enqueues(): Generator<Action> {
    // In this order: which of equal jobs comes first makes no difference.
    const job = this.world.jobs.find((one) => !this.enqueued.has(one));
    if (job !== undefined) yield { label: `a client enqueues ${job.name}`, fault: false, do: () => this.enqueue(job) };
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
      if (!pumped.has(whatOf(ref))) yield { label: `${task.boot} pumps ${whatOf(ref)}`, fault: false, do: () => world.pump(task, ref) };
    }
  }

  /** What tasks do by the clock. */
  *#upkeep(): Generator<Action> {
    const { world } = this;
    for (const task of world.tasks.values()) {
      const { boot, row, pipeline } = task;
      if (row.cancelSeq < world.row.cancelSeq) yield { label: `${boot} polls`, fault: false, do: () => world.poll(task) };
      const busy = [...world.scheduler.strands.keys()];
      if ((pipeline.debts.nextAt ?? Infinity) <= world.clock.monotonic() && !busy.some((name) => name.startsWith(`${boot} pays`)))
        yield { label: `${boot} pays`, fault: false, do: () => world.pay(task) };
      if (this.#hasToLook(task) && !busy.some((name) => name.startsWith(`${boot} looks`)))
        yield { label: `${boot} looks after its long runs`, fault: false, do: () => world.look(task) };
    }
    for (const boot of world.dead) {
      if (!world.declaredDead.has(boot)) yield { label: `${boot} is declared dead`, fault: false, do: async () => void world.declaredDead.add(boot) };
    }
  }

  /** A run that is to be moved, or whose item another look would move on. */
  #hasToLook({ boot, pipeline }: SimTask): boolean {
    const { handlers, state, clock } = this.world;
    return [...handlers.values()].some(({ life, run, strand }) => {
      if (life.job.long !== true || run === undefined || !strand.startsWith(`${boot} `) || !run.performing || run.delivery.lost) return false;
      const item = Object.values(state.parked).find(({ id, run: holder }) => id === idOf(life.job) && holder?.endsWith(`/${run.number}`));
      return pipeline.longRuns.isShort(run) || (item !== undefined && item.due < clock.now() + DEFAULT_TIMINGS.longLease);
    });
  }

  /** When something falls due or lapses next, epoch ms. */
  nextMoment(): number | undefined {
    const { state, clock, tasks } = this.world;
    const moments = [
      ...Object.values(state.parked).map(({ due }) => due),
      ...Object.values(state.queueKeys).map(({ due = 0 }) => due),
      ...Object.values(state.locks).map(({ reservedUntil = 0 }) => reservedUntil),
      ...[...tasks.values()].map(({ pipeline }) => clock.now() - clock.monotonic() + (pipeline.debts.nextAt ?? 0)),
    ].filter((moment) => moment > clock.now());
    return moments.length === 0 ? undefined : Math.min(...moments);
  }

  /** A living task moves its long runs' items on in time: time does not pass them. */
  mayPass(moment: number): boolean {
    const { state, tasks } = this.world;
    return !Object.values(state.parked).some(({ run, due }) => run !== undefined && tasks.has(run.split("/")[0] ?? "") && due <= moment);
  }
}
