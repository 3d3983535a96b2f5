import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { print } from "../../local/printer.ts";
import { runChild } from "../infra/graph/child.ts";
import { ROOT } from "../infra/graph/platform.ts";

/** The oldest Node that the package is for, by its major version. */
export const OLDER_NODE = "22";
const VERSION = "22.23.3";

/**
 * A Node of that version, installed from npm beside the repository, once. Not among the packages: both would be
 * `node_modules/.bin/node`.
 * @returns its path
 */
export async function olderNode(): Promise<string> {
  const directory = join(ROOT, `.roger/node-${OLDER_NODE}`);
  const program = join(directory, "node_modules/.bin/node");
  const version = await runChild(program, ["--version"]).catch(() => "");
  if (version.trim() === `v${VERSION}`) return program;
  print(`installing Node ${VERSION} (some seconds, once)`);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "package.json"), JSON.stringify({ private: true, dependencies: { node: VERSION }, allowScripts: { node: true } }));
  await runChild("npm", ["install", "--no-audit", "--no-fund"], { cwd: directory });
  return program;
}
