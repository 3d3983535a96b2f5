import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { runChild } from "../infra/graph/child.ts";
import { ROOT } from "../infra/graph/platform.ts";
import { OLDER_NODE, olderNode } from "../package/older-node.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The package as `npm publish` would send it. */
    tarball: string;
    /** An application in a directory of its own, that has installed the package: test/package/app. */
    application: string;
    /** Node by its major version: the pinned one, and the oldest that the package is for. */
    nodes: Readonly<Record<string, string>>;
  }
}

/** Builds and packs once, and installs what came out where nothing of this repository is in reach. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), "roger-package-"));
  const remove = () => rm(directory, { recursive: true });
  try {
    const tarball = await pack(directory);
    const application = join(directory, "application");
    await cp(join(ROOT, "test/package/app"), application, { recursive: true });
    await installInto(application, tarball);
    project.provide("tarball", tarball);
    project.provide("application", application);
    project.provide("nodes", { 24: process.execPath, [OLDER_NODE]: await olderNode() });
  } catch (error) {
    await remove();
    throw error;
  }
  return remove;
}

async function pack(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true });
  const stdout = await runChild("npm", ["pack", "--silent", "--pack-destination", directory]);
  return join(directory, stdout.trim().split("\n").at(-1) ?? "");
}

/** As a user would, only that the package comes from here and not from the registry. */
async function installInto(directory: string, tarball: string): Promise<void> {
  const file = join(directory, "package.json");
  const manifest = JSON.parse(await readFile(file, "utf8")) as { dependencies: Record<string, string> };
  manifest.dependencies["roger-serverless"] = `file:${tarball}`;
  await writeFile(file, JSON.stringify(manifest));
  await runChild("npm", ["install", "--omit=dev", "--prefer-offline", "--no-audit", "--no-fund"], { cwd: directory });
}
