import { snapshot } from "../../testing/memory-state.ts";
import { Execution } from "./actions.ts";
import { faults } from "./faults.ts";
import type { Action, Setup } from "./setup.ts";
import { World } from "./world.ts";

export interface Found {
  /** Different moments that were reached. */
  readonly states: number;
  readonly executions: number;
  /** Whether every moment that can be reached within the budget was. */
  readonly complete: boolean;
  /** What went wrong, with the way there. */
  readonly violation: { readonly what: string; readonly trace: readonly string[] } | undefined;
}

/** Steps of one execution, at most: beyond it something goes in circles. */
const MAX_STEPS = 2_000;

/**
 * Goes every way that a setup can go, depth first, each execution from the start: the code under test can't be set back.
 * A moment that was reached before (the same state, and every strand with the same answers so far) is not gone on from.
 * At the end of every way all faults are over, and the work must come to its end.
 */
export async function explore(setup: Setup, maxExecutions: number): Promise<Found> {
  const seen = new Set<string>();
  /** At each depth the choice that is taken; raised from the end. */
  let choices: number[] = [];
  for (let executions = 1; executions <= maxExecutions; executions++) {
    const trace: string[] = [];
    const execution = await open(setup, trace);
    const widths: number[] = [];
    let known = false;
    for (let depth = 0; depth < MAX_STEPS; depth++) {
      const actions = choicesOf(execution);
      if (actions.length === 0) break;
      if (depth >= choices.length) {
        const moment = fingerprint(execution);
        if (seen.has(moment)) {
          known = true;
          break;
        }
        seen.add(moment);
        choices.push(0);
      }
      widths.push(actions.length);
      const violation = await take(execution, actions[choices[depth] as number] as Action, trace);
      if (violation !== undefined) return { states: seen.size, executions, complete: false, violation: { what: violation, trace } };
    }
    if (!known) {
      const violation = await finish(execution, trace);
      if (violation !== undefined) return { states: seen.size, executions, complete: false, violation: { what: violation, trace } };
    }
    choices = next(choices.slice(0, widths.length), widths);
    if (choices.length === 0) return { states: seen.size, executions, complete: true, violation: undefined };
  }
  return { states: seen.size, executions: maxExecutions, complete: false, violation: undefined };
}

/** One way, by chance; the seed tells which. */
export async function wander(setup: Setup, seed: number): Promise<Found> {
  const random = mulberry32(seed);
  const trace: string[] = [];
  const execution = await open(setup, trace);
  for (let depth = 0; depth < MAX_STEPS; depth++) {
    const actions = choicesOf(execution);
    if (actions.length === 0) break;
    // Faults are many among the choices and few in the budget: they must not all come first.
    const faults = actions.filter(({ fault }) => fault);
    const usual = actions.filter(({ fault }) => !fault);
    const from = usual.length === 0 || (faults.length > 0 && random() < 0.04) ? faults : usual;
    const violation = await take(execution, from[Math.floor(random() * from.length)] as Action, trace);
    if (violation !== undefined) return { states: depth, executions: 1, complete: false, violation: { what: violation, trace } };
  }
  const violation = await finish(execution, trace);
  return { states: trace.length, executions: 1, complete: false, violation: violation === undefined ? undefined : { what: violation, trace } };
}

/** Where the search begins. */
async function open(setup: Setup, trace: string[]): Promise<Execution> {
  const execution = new Execution(new World(setup), setup);
  for (const step of setup.begun ?? []) {
    const action = choicesOf(execution).find(({ label }) => label.includes(step));
    if (action === undefined) throw new Error(`"${step}" is not possible after:\n  ${trace.join("\n  ")}`);
    await take(execution, action, trace);
  }
  return execution;
}

/** Everything that may happen next, in an order that depends on the state alone. */
function choicesOf(execution: Execution): Action[] {
  return [...execution.actions(), ...faults(execution)];
}

async function take(execution: Execution, action: Action, trace: string[]): Promise<string | undefined> {
  trace.push(action.label);
  await action.do();
  const { ledger, scheduler } = execution.world;
  if (scheduler.failures.length > 0) return `a strand failed: ${String((scheduler.failures[0] as Error).stack)}`;
  return ledger.violations[0];
}

/** No fault any more, and time passes: the work comes to its end, and nothing is left behind. */
async function finish(execution: Execution, trace: string[]): Promise<string | undefined> {
  const { world } = execution;
  for (let step = 0; step < MAX_STEPS; step++) {
    const action = execution.actions().find(({ fault }) => !fault);
    if (action !== undefined) {
      const violation = await take(execution, action, trace);
      if (violation !== undefined) return violation;
      continue;
    }
    const moment = execution.nextMoment();
    if (moment === undefined || execution.setup.timeless === true) return world.leftOver();
    trace.push(`time passes: ${(moment - world.clock.now()) / 1000} s`);
    world.clock.advance(moment - world.clock.now());
  }
  return `the work does not come to its end in ${MAX_STEPS} steps`;
}

/** The choices of the next execution: the last that has another way to go takes it. */
function next(choices: readonly number[], widths: readonly number[]): number[] {
  const raised = [...choices];
  while (raised.length > 0) {
    const last = raised.length - 1;
    if ((raised[last] as number) + 1 < (widths[last] as number)) {
      raised[last] = (raised[last] as number) + 1;
      return raised;
    }
    raised.pop();
  }
  return raised;
}

/** The moment as text. Revs, tags and runs are named in the order in which they appear: which number they got says nothing. */
function fingerprint(execution: Execution): string {
  const { state } = execution.world;
  const text = `${snapshot({ ...state, writes: 0 })} ${JSON.stringify(execution.memory)}`;
  const names = new Map<string, string>();
  return text.replace(/\b[rm]\d+\b|\b[TN]\d+\/(abandon-)?\d+\b/g, (bare) => {
    const known = names.get(bare) ?? `v${names.size}`;
    names.set(bare, known);
    return known;
  });
}

function mulberry32(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
