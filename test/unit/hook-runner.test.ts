import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Envelope, FailedAttempt } from "../../core/job/envelope.ts";
import { defineHooks, type Hooks, hooksOf } from "../../core/job/hooks.ts";
import type { WorkerEvent } from "../../worker/events.ts";
import { HookRunner } from "../../worker/hook-runner.ts";

const envelope: Envelope = {
  v: 1,
  id: "job-1",
  name: "mail",
  args: { to: ["ada"] },
  partition: "acme",
  queue: "default",
  attempt: 4,
  attempts_before: 2,
  enqueued_at: 17,
};
const failure: FailedAttempt = { attempt: 1, started_at: 1, failed_at: 2, task: "t", error: { name: "Error", message: "no" } };
const TIMEOUT = 10_000;
const never = (): Promise<never> => new Promise(() => undefined);

const events: WorkerEvent[] = [];
const runner = (...hooks: Hooks[]): HookRunner => new HookRunner(hooks, (event) => void events.push(event), TIMEOUT);

beforeEach(() => {
  events.length = 0;
  vi.useFakeTimers();
  onTestFinished(() => {
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
  });
});

const fail = (): never => {
  throw new Error("hook");
};

/** The ways in which a hook can go wrong, and what is told of each. */
const WRONG: readonly (readonly [string, () => unknown, string])[] = [
  ["throws before it returns", fail, "hook"],
  ["rejects", () => Promise.reject(new Error("hook")), "hook"],
  ["hangs", never, "it has not ended after 10 s"],
];

describe("beforeRun", () => {
  it("is told of the job, and its value is handed on to afterRun and onError, for each set of hooks its own", async () => {
    const told: unknown[] = [];
    const hooks = (name: string, value: unknown): Hooks => ({
      beforeRun: (job) => {
        told.push(job);
        return value;
      },
      afterRun: (_, state) => void told.push([name, "after", state]),
      onError: (_, seen, state) => void told.push([name, "error", seen, state]),
    });
    const made = runner(hooks("a", 1), {}, hooks("b", Promise.resolve(2)));
    const states = await made.beforeRun(envelope);
    const { id, name, partition, queue, args } = envelope;
    expect(told.splice(0)).toMatchObject([{ id, name, partition, queue, args, enqueuedAt: 17, attempt: 2 }, { id }]);
    made.tell("afterRun", envelope, ({ afterRun }, job, state) => afterRun?.(job, state), states);
    made.tell("onError", envelope, ({ onError }, job, state) => onError?.(job, failure, state), states);
    await made.rested();
    expect(told).toEqual([
      ["a", "after", 1],
      ["b", "after", 2],
      ["a", "error", failure, 1],
      ["b", "error", failure, 2],
    ]);
    expect(events).toEqual([]);
  });

  it.each(WRONG)("that %s costs its own set its value, and nobody else anything", async (_, wrong, message) => {
    const made = runner({ beforeRun: wrong }, { beforeRun: () => "good" });
    const states = made.beforeRun(envelope);
    await vi.advanceTimersByTimeAsync(TIMEOUT);
    expect(await states).toEqual([undefined, "good"]);
    expect(events).toMatchObject([{ type: "trouble", doing: "the hook beforeRun of job job-1", error: { message } }]);
  });

  it("is waited for while it is slow, and no longer than 10 s", async () => {
    const made = runner({ beforeRun: () => new Promise((resolve) => setTimeout(resolve, TIMEOUT - 1, "slow")) });
    const states = made.beforeRun(envelope);
    await vi.advanceTimersByTimeAsync(TIMEOUT - 2);
    expect(await Promise.race([states, "waiting"])).toBe("waiting");
    await vi.advanceTimersByTimeAsync(1);
    expect(await states).toEqual(["slow"]);
  });

  it("that rejects after its time is over is no unhandled rejection", async () => {
    const late = Promise.withResolvers<never>();
    const made = runner({ beforeRun: () => late.promise });
    const states = made.beforeRun(envelope);
    await vi.advanceTimersByTimeAsync(TIMEOUT);
    expect(await states).toEqual([undefined]);
    late.reject(new Error("too late"));
    await vi.advanceTimersByTimeAsync(0);
    expect(events).toHaveLength(1);
  });

  it("cannot change the job: neither its handler's args nor its next attempt's", async () => {
    const before = structuredClone(envelope);
    const made = runner({ beforeRun: ({ args }) => (args as { to: string[] }).to.push("eve") });
    await made.beforeRun(envelope);
    expect(envelope).toEqual(before);
  });

  it("costs nothing when nobody has one", async () => {
    expect(runner().any).toBe(false);
    const made = runner({ afterRun: () => undefined });
    expect(made.any).toBe(true);
    expect(await made.beforeRun(envelope)).toEqual([]);
  });
});

describe("the other hooks", () => {
  const told = ["afterRun", "onError", "onBuried", "onCancel"] as const;

  it.each(told.flatMap((name) => WRONG.map((wrong) => [name, ...wrong] as const)))(
    "%s that %s is told of, and keeps nobody waiting",
    async (name, _, wrong, message) => {
      const called: string[] = [];
      const made = runner({ [name]: wrong }, { [name]: () => void called.push(name) });
      made.tell(name, envelope, (hooks, job) => (hooks[name] as ((job: unknown) => unknown) | undefined)?.(job));
      await vi.advanceTimersByTimeAsync(0);
      expect(called).toEqual([name]);
      await vi.advanceTimersByTimeAsync(TIMEOUT);
      await made.rested();
      expect(events).toMatchObject([{ type: "trouble", doing: `the hook ${name} of job job-1`, error: { message } }]);
    },
  );

  it("are given their time when the task stops, and no more", async () => {
    const made = runner({ onBuried: never });
    await made.rested();
    made.tell("onBuried", envelope, ({ onBuried }, job) => onBuried?.(job, "failed", failure));
    const rested = made.rested();
    await vi.advanceTimersByTimeAsync(TIMEOUT - 1);
    expect(await Promise.race([rested, "waiting"])).toBe("waiting");
    await vi.advanceTimersByTimeAsync(1);
    await rested;
  });
});

describe("defineHooks", () => {
  it("takes an instance of a class as well, and is found among a module's exports", async () => {
    class Counting implements Hooks {
      readonly #seen: string[] = [];
      afterRun({ id }: { readonly id: string }): void {
        this.#seen.push(id);
      }
      get seen(): readonly string[] {
        return this.#seen;
      }
    }
    const counting = new Counting();
    const hooks = hooksOf({ counting: defineHooks(counting), other: 7, twice: undefined });
    expect(hooks).toHaveLength(1);
    const made = runner(...hooks);
    made.tell("afterRun", envelope, ({ afterRun }, job, state) => afterRun?.(job, state));
    await made.rested();
    expect(counting.seen).toEqual(["job-1"]);
  });

  it("refuses what is no hook, naming it", () => {
    expect(() => defineHooks({ onErorr: () => undefined } as Hooks)).toThrow('there is no hook "onErorr"');
    expect(() => defineHooks({ onError: 7 } as unknown as Hooks)).toThrow("onError must be a function");
  });
});
