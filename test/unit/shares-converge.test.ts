import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyCommand } from "../../core/partition/commands.ts";
import { heldOf, type Partition, shareOf } from "../../core/partition/partition.ts";
import { isServedBesides, type ShareTask, type Sharing, targetShares, wantedShare } from "../../core/partition/shares.ts";

const KEY = "default/default";

interface SimTask {
  readonly boot: string;
  readonly slots: number;
  full: boolean;
  /** As this task read the row last. */
  copy: Partition;
  share: number;
  /** Jobs of the queue under way here: their part of the share can't be given back. */
  running: number;
}

/** Tasks that share one queue, each by its own old copy of the row, under the law that the table keeps. */
class Sim {
  row: Partition;
  readonly tasks: SimTask[] = [];
  /** As everybody knows them from their beats: told with a delay. */
  roster: ShareTask[] = [];
  moves = 0;
  #next = 0;

  constructor(maxWorkers: number) {
    this.row = applyCommand("acme", undefined, { type: "start", pools: { default: { default: maxWorkers } } });
  }

  join(slots: number): void {
    this.tasks.push({ boot: `task-${this.#next++}`, slots, full: false, copy: this.row, share: 0, running: 0 });
    this.tell();
  }

  /** A task dies, and is evicted at once: nothing of it runs. */
  die(task: SimTask): void {
    this.tasks.splice(this.tasks.indexOf(task), 1);
    this.#write(task.boot, 0);
    this.tell();
  }

  reconfigure(maxWorkers: number): void {
    this.row = applyCommand("acme", this.row, { type: "reconfigure", pools: { default: { default: maxWorkers } } });
    for (const task of this.tasks) task.copy = this.row;
  }

  tell(): void {
    this.roster = this.tasks.map(({ boot, slots, full }) => ({ boot, slots, full }));
  }

  /** What a keeper does in one step. */
  step(task: SimTask): void {
    const sharing: Sharing = { partition: task.copy, pool: "default", queue: "default", tasks: this.roster };
    const targets = targetShares(sharing);
    const lets = task.full && task.running === 0 && isServedBesides(sharing, task.boot, targets, true);
    const wanted = lets ? 0 : wantedShare(sharing, task.boot, task.share, targets);
    if (wanted > task.share) this.#raise(task, wanted);
    else if (Math.max(wanted, task.running) < task.share) {
      task.share = Math.max(wanted, task.running);
      this.#write(task.boot, task.share);
      task.copy = this.row;
    }
  }

  get maxWorkers(): number {
    return this.row.pools.default?.default as number;
  }

  #raise(task: SimTask, wanted: number): void {
    // The keeper looks again before it gives up, and takes what there is.
    if (this.maxWorkers - heldOf(task.copy, KEY) <= 0) task.copy = this.row;
    const to = Math.min(wanted, task.share + this.maxWorkers - heldOf(task.copy, KEY));
    if (to <= task.share) return;
    const lawful = task.copy.revision === this.row.revision && heldOf(this.row, KEY) + to - task.share <= this.maxWorkers;
    if (lawful) {
      task.share = to;
      this.#write(task.boot, to);
    }
    task.copy = this.row;
  }

  #write(boot: string, share: number): void {
    const { [boot]: before = 0, ...others } = this.row.shares[KEY] ?? {};
    if (share === before) return;
    this.moves += 1;
    const held = heldOf(this.row, KEY) + share - before;
    this.row = { ...this.row, held: { [KEY]: held }, shares: { [KEY]: share === 0 ? others : { ...others, [boot]: share } } };
    // A raise never brings it above the law; what is above was there before max_workers fell.
    if (share > before) expect(held).toBeLessThanOrEqual(this.maxWorkers);
  }

  /** Whether everybody rests within so many rounds in which each looks at the row as it is. */
  settles(rounds: number): boolean {
    this.tell();
    for (let round = 0; round < rounds; round++) {
      const before = this.moves;
      for (const task of this.tasks) {
        task.copy = this.row;
        this.step(task);
      }
      if (this.moves === before) return true;
    }
    return false;
  }
}

type Event =
  | { readonly kind: "step" | "look" | "toggle" | "run" | "settle" | "die"; readonly at: number }
  | { readonly kind: "join" | "reconfigure"; readonly n: number }
  | { readonly kind: "tell" };

const at = fc.nat(20);
const EVENT: fc.Arbitrary<Event> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("step" as const), at }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom("look", "toggle", "run", "settle"), at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("tell" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("die" as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("join" as const), n: fc.integer({ min: 1, max: 12 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reconfigure" as const), n: fc.integer({ min: 0, max: 24 }) }) },
);

function happen(sim: Sim, event: Event): void {
  if (event.kind === "tell") sim.tell();
  else if (event.kind === "join") {
    if (sim.tasks.length < 6) sim.join(event.n);
  } else if (event.kind === "reconfigure") sim.reconfigure(event.n);
  else if ("at" in event) happenTo(sim, sim.tasks[event.at % Math.max(1, sim.tasks.length)], event.kind);
}

function happenTo(sim: Sim, task: SimTask | undefined, what: Event["kind"]): void {
  if (task === undefined) return;
  if (what === "step") sim.step(task);
  else if (what === "look") task.copy = sim.row;
  else if (what === "toggle") task.full = !task.full;
  else if (what === "run") task.running = task.share;
  else if (what === "settle") task.running = 0;
  else sim.die(task);
}

const world = fc.record({
  // Often so few that a task holds as much as it can.
  maxWorkers: fc.oneof(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 1, max: 3 })),
  slots: fc.array(fc.oneof(fc.integer({ min: 1, max: 12 }), fc.constant(1)), { minLength: 1, maxLength: 5 }),
  events: fc.array(EVENT, { maxLength: 80 }),
});

function play({
  maxWorkers,
  slots,
  events,
}: {
  readonly maxWorkers: number;
  readonly slots: readonly number[];
  readonly events: readonly Event[];
}): Sim {
  const sim = new Sim(maxWorkers);
  for (const n of slots) sim.join(n);
  for (const event of events) happen(sim, event);
  return sim;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

describe("tasks that share a queue", () => {
  it("come to rest whatever happened: nothing is unheld that a task with room could hold, nothing held by a full one beside it", () => {
    fc.assert(
      fc.property(world, (history) => {
        const sim = play(history);
        for (const task of sim.tasks) task.running = 0;
        expect(sim.settles(12)).toBe(true);
        const held = sim.tasks.map(({ share }) => share);
        expect(sum(held)).toBe(heldOf(sim.row, KEY));
        expect(sum(held)).toBeLessThanOrEqual(sim.maxWorkers);
        const open = sim.tasks.filter(({ full }) => !full);
        const left = sum(open.map(({ slots, share }) => Math.max(0, slots - share)));
        if (open.length > 0 && left > 0) expect(sum(held)).toBe(sim.maxWorkers);
        // Else a job that RabbitMQ has given to a full one would wait there beside an idle one.
        const keptByFull = sum(sim.tasks.filter(({ full }) => full).map(({ share }) => share));
        if (open.some(({ share }) => share > 0)) expect(keptByFull).toBe(0);
      }),
      { numRuns: 2_000 },
    );
  });

  it("give every task with room its target in the end, and keep no surplus beside it", () => {
    fc.assert(
      fc.property(world, (history) => {
        const sim = play(history);
        for (const task of sim.tasks) Object.assign(task, { running: 0, full: false });
        expect(sim.settles(12)).toBe(true);
        const targets = targetShares({ partition: sim.row, pool: "default", queue: "default", tasks: sim.roster });
        for (const { boot } of sim.tasks) expect(shareOf(sim.row, KEY, boot)).toBeGreaterThanOrEqual(targets.get(boot) ?? 0);
        if (sum([...targets.values()]) === sim.maxWorkers) {
          for (const { boot } of sim.tasks) expect(shareOf(sim.row, KEY, boot)).toBe(targets.get(boot) ?? 0);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("move nothing to and fro: once at rest, a task that fills up or looks again changes nothing unless somebody lets go", () => {
    fc.assert(
      fc.property(world, fc.array(at, { maxLength: 30 }), (history, order) => {
        const sim = play(history);
        for (const task of sim.tasks) task.running = 0;
        sim.settles(12);
        const before = sim.moves;
        // Full ones run something of the queue from now on: they hold on to it.
        for (const task of sim.tasks) Object.assign(task, { full: task.full || task.share > 0, running: task.share });
        sim.tell();
        for (const n of order) {
          const task = sim.tasks[n % Math.max(1, sim.tasks.length)];
          if (task !== undefined) sim.step(task);
        }
        expect(sim.moves - before).toBeLessThanOrEqual(sim.tasks.length);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a queue whose chosen tasks are full", () => {
  function three(slots = 10, maxWorkers = 4): { readonly sim: Sim; readonly chosen: readonly SimTask[]; readonly other: SimTask } {
    const sim = new Sim(maxWorkers);
    for (let i = 0; i < 3; i++) sim.join(slots);
    sim.settles(5);
    const chosen = sim.tasks.filter(({ share }) => share > 0);
    const [other] = sim.tasks.filter(({ share }) => share === 0);
    return { sim, chosen, other: other as SimTask };
  }

  it("is taken over by the one with room, and given back once a chosen one has room again", () => {
    const { sim, chosen, other } = three();
    expect(chosen.map(({ share }) => share)).toEqual([2, 2]);
    for (const task of chosen) task.full = true;
    expect(sim.settles(5)).toBe(true);
    expect(other.share).toBe(4);
    Object.assign(chosen[0] as SimTask, { full: false });
    expect(sim.settles(5)).toBe(true);
    expect([chosen[0]?.share, other.share]).toEqual([2, 2]);
  });

  it("is let go by the second one, too, though the one with room has no slot left that it does not hold already", () => {
    const { sim, chosen, other } = three(1, 2);
    const [first, second] = chosen as [SimTask, SimTask];
    first.full = true;
    sim.settles(5);
    expect([first.share, second.share, other.share]).toEqual([0, 1, 1]);
    second.full = true;
    sim.settles(5);
    expect([second.share, other.share]).toEqual([0, 1]);
  });

  it("stays where it is when the one that took it fills up, too", () => {
    const { sim, chosen, other } = three();
    for (const task of chosen) task.full = true;
    sim.settles(5);
    other.full = true;
    const before = sim.moves;
    expect(sim.settles(5)).toBe(true);
    expect(sim.moves).toBe(before);
  });

  it("gives back only what has ended", () => {
    const { sim, chosen, other } = three();
    for (const task of chosen) task.full = true;
    sim.settles(5);
    other.running = 3;
    for (const task of chosen) task.full = false;
    sim.settles(5);
    expect(other.share).toBe(3);
    other.running = 0;
    sim.settles(5);
    expect(other.share).toBe(0);
    expect(chosen.map(({ share }) => share)).toEqual([2, 2]);
  });

  it("is left to the chosen ones as long as they have room, however slow they are", () => {
    const sim = new Sim(4);
    for (let i = 0; i < 3; i++) sim.join(10);
    const targets = targetShares({ partition: sim.row, pool: "default", queue: "default", tasks: sim.roster });
    const other = sim.tasks.find(({ boot }) => !targets.has(boot)) as SimTask;
    sim.step(other);
    const [first, second] = sim.tasks.filter((task) => task !== other) as [SimTask, SimTask];
    sim.step(first);
    for (const task of [other, first]) {
      task.copy = sim.row;
      sim.step(task);
    }
    sim.step(second);
    expect([first.share, second.share, other.share, sim.moves]).toEqual([2, 2, 0, 2]);
  });
});
