import { expect } from "vitest";
import { explore, type Found, wander } from "./explore.ts";
import type { Setup } from "./setup.ts";

/** How far a search goes; `ROGER_SIM_SCALE=20 npm test -- sim` goes twenty times as far. */
const SCALE = Number(process.env.ROGER_SIM_SCALE ?? 1);
/** What a search may take: the further it goes, the longer. */
export const PATIENCE = { timeout: 240_000 * Math.max(1, SCALE) };
/** Where walks by chance begin; printed, so that a failure can be had again. */
const SEED = Number(process.env.ROGER_SIM_SEED ?? Math.floor(Math.random() * 1e9));

/** Goes every way that the setup can go, or as many as there is time for, and says which of the two it was. */
export async function everyWay(name: string, setup: Setup, executions = 150): Promise<void> {
  const found = await explore(setup, executions * SCALE);
  const extent = found.complete ? "all of them" : "NOT all of them";
  console.info(`${name}: ${found.states} moments in ${found.executions} executions, ${extent}`);
  expectNothing(found, name);
}

/** Walks by chance. */
export async function manyWays(name: string, setup: Setup, walks = 150): Promise<void> {
  console.info(`${name}: ${walks * SCALE} walks from seed ${SEED} (ROGER_SIM_SEED=${SEED} has them again)`);
  for (let seed = SEED; seed < SEED + walks * SCALE; seed++) expectNothing(await wander(setup, seed), `${name}, seed ${seed}`);
}

function expectNothing({ violation }: Found, name: string): void {
  if (violation === undefined) return;
  expect.fail(`${name}: ${violation.what}\n  ${violation.trace.join("\n  ")}`);
}
