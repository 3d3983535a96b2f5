import { InvalidInput } from "../contract/errors.ts";
import type { JobDefinition } from "./define-job.ts";

/** Job definitions by name: what a build knows how to run. */
export type Registry = ReadonlyMap<string, JobDefinition>;

/**
 * Collects the definitions that a module exports; other exports are left alone.
 * @throws InvalidInput when two definitions have one name
 */
export function registryOf(module: Record<string, unknown>): Registry {
  const registry = new Map<string, JobDefinition>();
  for (const exported of Object.values(module)) {
    if (!isDefinition(exported)) continue;
    const known = registry.get(exported.name);
    if (known !== undefined && known !== exported) throw new InvalidInput("name", `two jobs are called "${exported.name}"`);
    registry.set(exported.name, exported);
  }
  return registry;
}

function isDefinition(value: unknown): value is JobDefinition {
  return typeof value === "object" && value !== null && "perform" in value && "queueOf" in value && "args" in value && "name" in value;
}
