import { LIMITS } from "../../core/contract/limits.ts";
import type { Execution } from "./actions.ts";
import { type Action, type Budget, idOf } from "./setup.ts";
import { PARTITION } from "./world.ts";

/** Beyond the memory of a job's end. */
const HOUR_MS = LIMITS.doneKeyMs + 1_000;

/** All that may go wrong next, and what people may wish, as far as the budget goes. */
export function faults(execution: Execution): Action[] {
  return [...deaths(execution), ...outages(execution), ...wishes(execution), ...copies(execution), ...leaps(execution), ...lapses(execution)];
}

/** A fault of the budget. */
function costing(execution: Execution, kind: keyof Budget, label: string, work: () => Promise<unknown>): Action {
  return {
    label,
    fault: true,
    do: async () => {
      execution.left[kind] -= 1;
      await work();
    },
  };
}

function* deaths(execution: Execution): Generator<Action> {
  const { world, left } = execution;
  const busy = new Set([...world.scheduler.strands.values()].map(({ process }) => process));
  for (const task of world.tasks.values()) {
    const { boot } = task;
    if (left.crashes > 0 && busy.has(boot)) yield costing(execution, "crashes", `CRASH of ${boot}`, () => execution.crash(boot));
    if (left.losses === 0 || task.runs.size === 0) continue;
    yield costing(execution, "losses", `CONNECTION LOST by ${boot}`, () => {
      world.lose(task);
      return world.quiet();
    });
  }
  for (const process of left.crashes > 0 ? busy : []) {
    if (world.tasks.has(process)) continue;
    yield costing(execution, "crashes", `CRASH of the ${process}`, async () => execution.outside.kill(process));
  }
}

function* outages(execution: Execution): Generator<Action> {
  const { scheduler } = execution.world;
  const { crashes, errors } = execution.left;
  if (errors === 0) return;
  for (const strand of scheduler.strands.values()) {
    for (const pending of strand.pending) {
      const { port, method } = pending.call;
      if (port === "delivery") continue;
      const what = `${strand.name}: ${port}.${method}`;
      yield costing(execution, "errors", `${what} NEVER ARRIVES`, () => scheduler.step(strand, pending, "never"));
      // Whoever dies before it has asked again tells nobody of the cancel: that much `onCancel` does not promise.
      if (method === "hit" && crashes > 0) continue;
      yield costing(execution, "errors", `${what}, its ANSWER LOST`, () => scheduler.step(strand, pending, "lost"));
    }
  }
}

function* wishes(execution: Execution): Generator<Action> {
  const { world, outside, left } = execution;
  for (const job of world.jobs) {
    if (!execution.enqueued.has(job)) continue;
    if (left.cancels > 0) yield costing(execution, "cancels", `somebody cancels ${job.name}`, () => outside.cancel(job));
    if (left.revives > 0 && world.state.buried[`${PARTITION}/${idOf(job)}`] !== undefined)
      yield costing(execution, "revives", `somebody retries the buried ${job.name}`, () => outside.revive(job));
    if (left.lives > 0 && job.own === true) yield costing(execution, "lives", `a client enqueues ${job.name} anew`, () => execution.enqueue(job));
  }
  if (left.purges > 0 && execution.enqueued.size > 0) yield costing(execution, "purges", "somebody purges the queue", () => outside.purge());
}

function* copies(execution: Execution): Generator<Action> {
  if (execution.left.copies === 0) return;
  for (const life of execution.world.ledger.lives) {
    if (!life.accepted) continue;
    const label = `a copy of ${life.job.name}'s first message (of ${life.enqueuedAt})`;
    yield costing(execution, "copies", label, async () => execution.world.publishCopy(life));
  }
}

function* leaps(execution: Execution): Generator<Action> {
  const { world, left, setup } = execution;
  const now = world.clock.now();
  // Clocks that differ by nearly an hour leave an enqueuer none between its look at the clock and its claim: see core/job/life.ts.
  const isHurried = setup.skewMs !== undefined && [...world.scheduler.strands.values()].some(({ process }) => process.startsWith("client of "));
  const to = (kind: "jumps" | "hours", moment: number): Action =>
    costing(execution, kind, `time passes: ${(moment - now) / 1000} s`, async () => world.clock.advance(moment - now));
  const next = left.jumps > 0 ? execution.nextMoment() : undefined;
  if (next !== undefined && execution.mayPass(next)) yield to("jumps", next);
  if (left.hours > 0 && !isHurried && execution.mayPass(now + HOUR_MS)) yield to("hours", now + HOUR_MS);
}

function* lapses(execution: Execution): Generator<Action> {
  const { state } = execution.world;
  if (execution.left.lapses === 0) return;
  for (const [lock, waiters] of Object.entries(state.waiters)) {
    for (const waiter of waiters) {
      yield costing(execution, "lapses", `the row of ${waiter.job} lapses`, async () => {
        const left = waiters.filter((other) => other !== waiter);
        if (left.length > 0) state.waiters[lock] = left;
        else delete state.waiters[lock];
      });
    }
  }
}
