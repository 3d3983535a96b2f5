import { DEFAULT_POOL } from "../core/contract/names.ts";
import { RequestRefused } from "./problem.ts";
import type { StartBody } from "./requests.ts";

/**
 * Whoever starts a queue in a pool that is not deployed waits for a task that never comes.
 * @param known `undefined`: this process was not told, and takes every pool
 * @throws RequestRefused `unknown_pool`, naming it as the caller wrote it, and those that there are
 */
export function checkKnownPools(known: readonly string[] | undefined, { queues, pools = {} }: StartBody): void {
  if (known === undefined) return;
  const asked = [...(queues === undefined ? [] : [{ pool: DEFAULT_POOL, field: "queues" }]), ...Object.keys(pools).map(named)];
  const missing = asked.find(({ pool }) => !known.includes(pool));
  if (missing === undefined) return;
  const { pool, field } = missing;
  throw new RequestRefused("unknown_pool", `${field}: there is no pool "${pool}"; this deployment has ${known.join(", ")}`, field);
}

function named(pool: string): { readonly pool: string; readonly field: string } {
  return { pool, field: `pools.${pool}` };
}
