import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DEFAULT_TIMINGS } from "../../core/contract/limits.ts";
import type { TaskLease, TaskState, TaskStore } from "../../core/partition/task-store.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { Lease } from "../../worker/lease.ts";
import { Roster } from "../../worker/roster.ts";

/** Leases as a table keeps them, with faults to switch on. Time is vitest's. */
class Leases implements Partial<TaskStore> {
  readonly rows = new Map<string, TaskLease>();
  away = false;
  /** A renewal is written, but takes this long to answer. */
  slowMs = 0;

  async register(lease: TaskLease): Promise<void> {
    this.rows.set(lease.boot, lease);
  }

  async renew(boot: string, state: TaskState): Promise<boolean> {
    if (this.away) throw new Error("the table is away");
    const row = this.rows.get(boot);
    if (row === undefined || row.dead) return false;
    this.rows.set(boot, { ...row, ...state });
    if (this.slowMs > 0) await new Promise((resolve) => setTimeout(resolve, this.slowMs));
    return true;
  }

  async declareDead(boot: string, beat: number): Promise<boolean> {
    const row = this.rows.get(boot);
    if (row === undefined || row.beat !== beat) return false;
    this.rows.set(boot, { ...row, dead: true });
    return true;
  }

  async leases(): Promise<TaskLease[]> {
    return [...this.rows.values()];
  }

  async forget(boot: string): Promise<void> {
    this.rows.delete(boot);
  }
}

const clock = { now: () => Date.now(), monotonic: () => performance.now() };
const t = DEFAULT_TIMINGS;

function setUp() {
  const leases = new Leases();
  const events: string[] = [];
  const aborts: number[] = [];
  const ages: number[] = [];
  const told = { full: false, connected: true };
  let deaths = 0;
  let renewed = 0;
  let guarded = false;
  const begin = performance.now();
  const emit = (event: WorkerEvent) => void events.push(event.type);
  const lease = new Lease({
    boot: "me",
    pool: "default",
    slots: 4,
    tasks: leases as unknown as TaskStore,
    clock,
    timings: t,
    watchdog: {
      start: async () => {
        guarded = true;
      },
      stop: async () => {
        guarded = false;
      },
      renewed: (age) => void ages.push(age),
    },
    emit,
    free: () => 4,
    full: () => told.full,
    connected: () => told.connected,
    onRenewed: () => void renewed++,
    onAbort: () => void aborts.push(performance.now() - begin),
    onDead: () => void deaths++,
  });
  return { leases, lease, told, events, aborts, ages, deaths: () => deaths, renewed: () => renewed, guarded: () => guarded, emit };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("Lease", () => {
  it("allows jobs while renewals succeed", async () => {
    const { lease, aborts, events } = setUp();
    await lease.start();
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(lease.mayStart).toBe(true);
    expect(aborts).toEqual([]);
    expect(events).toEqual([]);
    await lease.stop();
  });

  it("forbids new jobs after 10 s without a renewal, aborts at 12 s, and takes trust back when one succeeds", async () => {
    const { leases, lease, aborts, events, renewed } = setUp();
    await lease.start();
    leases.away = true;
    await vi.advanceTimersByTimeAsync(9_900);
    expect(lease.mayStart).toBe(true);
    await vi.advanceTimersByTimeAsync(200);
    expect(lease.mayStart).toBe(false);
    expect(aborts).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_500);
    expect(aborts).toHaveLength(1);
    expect(aborts[0]).toBeLessThan(12_500);
    const before = renewed();
    leases.away = false;
    await vi.advanceTimersByTimeAsync(5_500);
    expect(lease.mayStart).toBe(true);
    expect(renewed()).toBeGreaterThan(before);
    expect(events.filter((type) => type !== "trouble")).toEqual(["lease_late", "lease_lost", "lease_regained"]);
    await lease.stop();
  });

  it("wakes what one lost renewal held up for an instant, too short to be seen as late", async () => {
    const { leases, lease, renewed } = setUp();
    await lease.start();
    leases.away = true;
    await vi.advanceTimersByTimeAsync(t.beat + 10);
    leases.away = false;
    leases.slowMs = 10;
    const before = renewed();
    await vi.advanceTimersByTimeAsync(t.beat + 50);
    expect(lease.mayStart).toBe(true);
    expect(renewed()).toBeGreaterThan(before);
    await lease.stop();
  });

  it("counts from the sending of a renewal, not from its answer", async () => {
    const { leases, lease, ages } = setUp();
    await lease.start();
    leases.slowMs = 7_000;
    await vi.advanceTimersByTimeAsync(t.beat + 7_000 + 10);
    expect(Math.round((ages.at(-1) as number) / 100)).toBe(70);
    await lease.stop();
  });

  it("ends at once when a peer has declared it dead", async () => {
    const { leases, lease, aborts, deaths } = setUp();
    await lease.start();
    const row = leases.rows.get("me") as TaskLease;
    leases.rows.set("me", { ...row, dead: true });
    await vi.advanceTimersByTimeAsync(t.beat + 10);
    expect(lease.mayStart).toBe(false);
    expect([aborts.length, deaths()]).toEqual([1, 1]);
    await lease.stop();
  });

  it("is forgotten when nothing is held at the end, and is dead when something is", async () => {
    const clean = setUp();
    await clean.lease.start();
    await clean.lease.end(true);
    expect(clean.leases.rows.has("me")).toBe(false);
    const dirty = setUp();
    await dirty.lease.start();
    await dirty.lease.end(false);
    expect(dirty.leases.rows.get("me")?.dead).toBe(true);
    // What never settled may block the process before it ends: then the watchdog ends it, before peers take over.
    expect([clean.guarded(), dirty.guarded()]).toEqual([false, true]);
    const leftMs = t.watchdog - (dirty.ages.at(-1) as number);
    expect(leftMs).toBeGreaterThan(t.takeover / 2);
    expect(leftMs + 250).toBeLessThan(t.takeover);
  });
});

describe("what a lease tells peers", () => {
  it("is told at once when it changes, not at the next beat, and only then", async () => {
    const { leases, lease, told } = setUp();
    await lease.start();
    await vi.advanceTimersByTimeAsync(t.beat + 10);
    const beat = leases.rows.get("me")?.beat as number;
    told.connected = false;
    await vi.advanceTimersByTimeAsync(300);
    expect(leases.rows.get("me")).toMatchObject({ connected: false, full: false, beat: beat + 1 });
    told.full = true;
    await vi.advanceTimersByTimeAsync(300);
    expect(leases.rows.get("me")).toMatchObject({ connected: false, full: true, beat: beat + 2 });
    await vi.advanceTimersByTimeAsync(t.beat - 600);
    expect(leases.rows.get("me")?.beat).toBe(beat + 2);
    await lease.stop();
  });
});

describe("Roster", () => {
  function watching() {
    const base = setUp();
    let changes = 0;
    const roster = new Roster({
      boot: "me",
      tasks: base.leases as unknown as TaskStore,
      clock,
      timings: t,
      emit: base.emit,
      onChange: () => void changes++,
    });
    const peer = (boot: string, beat = 0): TaskLease => ({
      boot,
      pool: "default",
      slots: 4,
      beat,
      draining: false,
      free: 4,
      full: false,
      connected: true,
      dead: false,
    });
    base.leases.rows.set("me", peer("me"));
    base.leases.rows.set("peer", peer("peer"));
    const keepMeAlive = setInterval(() => {
      const row = base.leases.rows.get("me") as TaskLease;
      base.leases.rows.set("me", { ...row, beat: row.beat + 1 });
    }, 1_000);
    const end = async (): Promise<void> => {
      clearInterval(keepMeAlive);
      await roster.stop();
    };
    return { ...base, roster, peer, changes: () => changes, end };
  }

  it("declares a peer dead after 20 s of an unmoved beat, and lets its things be taken 2 s later", async () => {
    const { roster, leases, events, end } = watching();
    await roster.start();
    await vi.advanceTimersByTimeAsync(t.dead - 100);
    expect(leases.rows.get("peer")?.dead).toBe(false);
    await vi.advanceTimersByTimeAsync(200);
    expect(leases.rows.get("peer")?.dead).toBe(true);
    expect(roster.live.map(({ boot }) => boot)).toEqual(["me"]);
    expect(events).toContain("peer_dead");
    expect(roster.takeable()).toEqual([]);
    await vi.advanceTimersByTimeAsync(t.takeover);
    expect(roster.takeable()).toEqual(["peer"]);
    await end();
  });

  it("never kills a peer that moves, however slowly its beats come within 20 s", async () => {
    const { roster, leases, peer, end } = watching();
    await roster.start();
    for (let beat = 1; beat <= 6; beat++) {
      await vi.advanceTimersByTimeAsync(14_900);
      expect(leases.rows.get("peer")?.dead).toBe(false);
      leases.rows.set("peer", peer("peer", beat));
    }
    await end();
  });

  it("that sleeps in the midst of a look declares nobody dead for it: the peer has gone on", async () => {
    const { roster, leases, peer, events, end } = watching();
    await roster.refresh();
    const seen = await leases.leases();
    leases.leases = async () => {
      await vi.advanceTimersByTimeAsync(60_000);
      leases.rows.set("peer", peer("peer", 1));
      return seen;
    };
    await roster.refresh();
    expect(leases.rows.get("peer")?.dead).toBe(false);
    expect(events).not.toContain("peer_dead");
    expect(roster.live.map(({ boot }) => boot)).toContain("peer");
    await end();
  });

  it("goes by its monotonic clock, whatever happens to the other one", async () => {
    const { roster, leases, end } = watching();
    await roster.start();
    vi.setSystemTime(Date.now() + 60_000);
    await roster.refresh();
    expect(leases.rows.get("peer")?.dead).toBe(false);
    await vi.advanceTimersByTimeAsync(t.dead + 100);
    expect(leases.rows.get("peer")?.dead).toBe(true);
    await end();
  });

  it("tells of tasks that come, drain and go", async () => {
    const { roster, leases, peer, changes, end } = watching();
    await roster.start();
    expect(changes()).toBe(1);
    leases.rows.set("new", peer("new"));
    await roster.refresh();
    leases.rows.set("new", { ...peer("new", 1), draining: true });
    await roster.refresh();
    leases.rows.delete("new");
    await roster.refresh();
    expect(changes()).toBe(3);
    await end();
  });

  it("gives each duty to exactly one of the living", async () => {
    const { roster, leases, emit, end } = watching();
    await roster.start();
    const other = new Roster({ boot: "peer", tasks: leases as unknown as TaskStore, clock, timings: t, emit, onChange: () => undefined });
    await other.refresh();
    for (let n = 0; n < 40; n++) expect(Number(roster.owns(`due/${n}`)) + Number(other.owns(`due/${n}`))).toBe(1);
    await end();
  });

  it("gives what needs RabbitMQ to tasks that have it, and to nobody when none has", async () => {
    const { roster, leases, peer, changes, end } = watching();
    await roster.start();
    const duties = Array.from({ length: 40 }, (_, n) => `due/${n}`);
    const mine = () => duties.filter((duty) => roster.owns(duty, { connected: true })).length;
    expect(mine()).toBeGreaterThan(0);
    expect(mine()).toBeLessThan(40);
    leases.rows.set("peer", { ...peer("peer", 1), connected: false });
    await roster.refresh();
    expect([mine(), roster.othersConnected("default"), changes()]).toEqual([40, false, 2]);
    expect(duties.filter((duty) => roster.owns(duty)).length).toBeLessThan(40);
    leases.rows.set("me", { ...peer("me", 99), connected: false });
    await roster.refresh();
    expect(mine()).toBe(0);
    await end();
  });
});
