import { describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { systemClock } from "../../core/contract/clock.ts";
import { cancelJob } from "../../core/job/cancel.ts";
import type { JobContext } from "../../core/job/context.ts";
import { defineJob, type JobDefinition } from "../../core/job/define-job.ts";
import { defineHooks, type Hooks } from "../../core/job/hooks.ts";
import { FAST, Pool, until } from "../fixture/pool.ts";

const NAMES = ["beforeRun", "afterRun", "onError", "onBuried", "onCancel"] as const;

function all(hook: () => unknown): Hooks {
  return defineHooks(Object.fromEntries(NAMES.map((name) => [name, hook])) as Hooks);
}

const WRONG: Readonly<Record<string, Hooks>> = {
  throws: all(() => {
    throw new Error("hook");
  }),
  rejects: all(() => Promise.reject(new Error("hook"))),
  hangs: all(() => new Promise(() => undefined)),
  slow: all(() => new Promise((resolve) => setTimeout(resolve, FAST.hook / 2))),
};

/** One job of each fate, and hooks that write down what they are told. */
async function fates(wrong: Hooks[]) {
  const told: string[] = [];
  const say = (what: string, id: string, ...more: unknown[]) => void told.push([what, id, ...more.map(String)].join(" "));
  const witness = defineHooks<string>({
    beforeRun: ({ id, attempt }) => `${id}#${attempt}`,
    afterRun: ({ id }, state) => say("after", id, state === `${id}#1`),
    onError: ({ id, attempt }, { error }, state) => say("error", id, attempt, error.name, state === `${id}#${attempt}`),
    onBuried: ({ id }, reason) => say("buried", id, reason),
    onCancel: ({ id }) => say("cancelled", id),
  });
  const started: string[] = [];
  const perform = async ({ fate }: { fate: string }, { signal, job, attempt }: JobContext) => {
    started.push(job.id);
    if (fate === "flaky" && attempt === 1) throw new TypeError("once");
    if (fate === "hopeless") throw new RangeError("always");
    if (fate === "endless") await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  };
  // Shorter than a hanging beforeRun takes: the job's clock must not run meanwhile.
  const job = defineJob({ name: "any", args: z.object({ fate: z.string() }), retry: { levels: [0.1] }, maxExecutionTime: 0.4, perform });
  const endless = defineJob({ name: "endless", args: z.object({ fate: z.string() }), perform });
  const pool = await Pool.open(inject("amqpUrl"), [job, endless] as unknown as JobDefinition[], { hooks: [...wrong, witness as Hooks] });
  const acme = pool.name("acme");
  await pool.addTask();
  await pool.start(acme, { default: 10 });
  const ids: Record<string, string> = {};
  for (const fate of ["fine", "flaky", "hopeless"]) ids[fate] = await pool.enqueue(acme, "any", { fate });
  ids.endless = await pool.enqueue(acme, "endless", { fate: "endless" });
  await until("the endless one runs", () => started.includes(ids.endless as string));
  await cancelJob({ ...pool.store, clock: systemClock }, acme, ids.endless);
  const expected = [
    `after ${ids.fine} true`,
    `error ${ids.flaky} 1 TypeError true`,
    `after ${ids.flaky} false`,
    `error ${ids.hopeless} 1 RangeError true`,
    `error ${ids.hopeless} 2 RangeError true`,
    `buried ${ids.hopeless} failed`,
    `cancelled ${ids.endless}`,
  ];
  await until("every hook was told", () => told.length >= expected.length);
  await until("everything is acked and nothing parked", async () => {
    const { jobs } = await pool.store.parked.list(acme, { limit: 10 });
    return jobs.length === 0 && (await pool.broker.admin.depth(`${acme}-default`)) === 0;
  });
  expect(told.toSorted()).toEqual(expected.toSorted());
  expect(told.indexOf(expected[5] as string)).toBeGreaterThan(told.indexOf(expected[4] as string));
  const { jobs: buried } = await pool.store.buried.list(acme, { limit: 10 });
  expect(buried).toMatchObject([{ id: ids.hopeless, reason: "failed", error: { name: "RangeError", message: "always" }, attempt: 2 }]);
  expect(started.filter((id) => id === ids.fine)).toHaveLength(1);
  return { troubles: pool.events.filter((event) => event.type === "trouble" && event.doing.startsWith("the hook ")), pool };
}

describe("hooks", () => {
  it("are told of every job's fate, each once, with what beforeRun gave them", async () => {
    expect((await fates([])).troubles).toEqual([]);
  });

  it.each(Object.entries(WRONG))("beside hooks of which each %s, are told the same, and every job ends the same", async (how, wrong) => {
    const { troubles, pool } = await fates([wrong]);
    // 6 starts, 2 ends, 3 failures, 1 burial, 1 cancel; those that hang may not have been given up yet.
    const expected = how === "slow" ? 0 : 13;
    await until("all of it is told as trouble", () => pool.events.filter((event) => event.type === "trouble").length >= expected);
    expect(troubles.length).toBeLessThanOrEqual(expected);
  });
});
