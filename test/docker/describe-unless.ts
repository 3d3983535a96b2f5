import { describe } from "vitest";

/** Leaves a group out when there is a reason to, and says it in its name: what was not run must not look as if it had passed. */
export function describeUnless(reason: string | undefined, what: string, tests: () => void): void {
  if (reason === undefined) describe(what, tests);
  else describe.skip(`${what} (skipped: ${reason})`, tests);
}
