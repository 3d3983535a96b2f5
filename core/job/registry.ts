import { InvalidInput } from "../contract/errors.ts";
import type { JobDefinition } from "./define-job.ts";

/** Job definitions by name: what a build knows how to run. */
export type Registry = ReadonlyMap<string, JobDefinition>;

/**
 * Collects the definitions that a module exports; other exports are left alone.
 * @throws InvalidInput naming the export: two definitions have one name, or it is a job that was not made with `defineJob`
 */
export function registryOf(module: Record<string, unknown>): Registry {
  const registry = new Map<string, JobDefinition>();
  const exportedAs = new Map<string, string>();
  for (const [as, exported] of Object.entries(module)) {
    if (isBareJob(exported)) throw new InvalidInput(`export ${as}`, "looks like a job, but was not made with defineJob");
    if (!isDefinition(exported)) continue;
    const { name } = exported;
    const known = registry.get(name);
    if (known !== undefined && known !== exported)
      throw new InvalidInput(`export ${as}`, `two jobs are called "${name}"; the other one is ${exportedAs.get(name)}`);
    registry.set(name, exported);
    exportedAs.set(name, as);
  }
  return registry;
}

/** Left alone, it would be missed only when a worker does not know its name. */
function isBareJob(value: unknown): boolean {
  return typeof value === "object" && value !== null && "perform" in value && "args" in value && "name" in value && !("queueOf" in value);
}

function isDefinition(value: unknown): value is JobDefinition {
  return typeof value === "object" && value !== null && "perform" in value && "queueOf" in value && "args" in value && "name" in value;
}
