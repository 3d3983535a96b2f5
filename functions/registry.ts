import type { Json } from "../core/job/envelope.ts";
import { type Registry, registryOf } from "../core/job/registry.ts";

/** Imports the user's jobs: `() => import("./jobs.ts")`, so that a bundler takes them in. */
export type JobsImport = () => Promise<object>;

/**
 * The user's jobs. `#jobs` is spelt out so that a bundler takes them in; any other module is read at run time.
 * @param jobs how to import them, or the module's name
 */
export async function loadRegistry(jobs: string | JobsImport): Promise<Registry> {
  const exported: object = await (typeof jobs === "function" ? jobs() : jobs === "#jobs" ? import("#jobs") : import(jobs));
  return registryOf({ ...exported });
}

const HIDDEN = "redacted";

/**
 * A job's args as its definition lets people see them. What this build has no definition for is not shown: it may be of
 * another build that redacts it. Nor is what a `redact` function fails at.
 */
export function shownArgs(registry: Registry, name: string, args: Json): Json {
  const definition = registry.get(name);
  if (definition === undefined) return HIDDEN;
  try {
    const shown = definition.shown(args);
    // Other people's code: what it gives need not be JSON.
    return shown === args ? args : (JSON.parse(JSON.stringify(shown) ?? "null") as Json);
  } catch {
    return HIDDEN;
  }
}

/** Whether people may see all of the args, and so what is made of them. */
export function showsAll(registry: Registry, name: string, args: Json): boolean {
  return shownArgs(registry, name, args) === args;
}
