import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * What the user's jobs module exports: jobs and hooks, among other things. The process and each of its job threads import it by
 * this one rule.
 * @param specifier `#jobs`, a `file:` URL, or a path, from the working directory
 */
export async function importJobs(specifier: string): Promise<Record<string, unknown>> {
  if (specifier === "#jobs") return await import("#jobs");
  return await import(specifier.startsWith("file:") ? specifier : pathToFileURL(resolve(specifier)).href);
}
