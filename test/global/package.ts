import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { runChild } from "../infra/graph/child.ts";
import { installSst } from "../infra/graph/install.ts";
import { PLATFORM, ROOT } from "../infra/graph/platform.ts";
import { OLDER_NODE, olderNode } from "../package/older-node.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** The package as `npm publish` would send it. */
    tarball: string;
    /** An application in a directory of its own, that has installed the package: test/package/app. */
    application: string;
    /** An SST app of its own, that has installed it, too: examples/invoices. */
    example: string;
    /** What the example would deploy as the stage `dev`, for StageGraph. */
    exampleGraphs: string;
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
    const example = join(directory, "invoices");
    const exampleGraphs = join(directory, "graphs");
    await copyAndInstall(join(ROOT, "test/package/app"), application, tarball);
    await copyAndInstall(join(ROOT, "examples/invoices"), example, tarball);
    await makeGraph(example, exampleGraphs);
    project.provide("tarball", tarball);
    project.provide("application", application);
    project.provide("example", example);
    project.provide("exampleGraphs", exampleGraphs);
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
async function copyAndInstall(source: string, directory: string, tarball: string): Promise<void> {
  // What somebody has installed or deployed there is not part of it.
  await cp(source, directory, { recursive: true, filter: (path) => !/\/(node_modules|\.sst|package-lock\.json)$/.test(path) });
  const file = join(directory, "package.json");
  const manifest = JSON.parse(await readFile(file, "utf8")) as { dependencies: Record<string, string> };
  manifest.dependencies["roger-serverless"] = `file:${tarball}`;
  await writeFile(file, JSON.stringify(manifest));
  await runChild("npm", ["install", "--omit=dev", "--prefer-offline", "--no-audit", "--no-fund"], { cwd: directory });
}

/** SST would unpack its components into each app; these have been unpacked here. */
async function makeGraph(root: string, directory: string): Promise<void> {
  await installSst();
  await mkdir(join(root, ".sst"));
  await symlink(PLATFORM, join(root, ".sst/platform"));
  const synth = join(ROOT, "test/infra/graph/synth.ts");
  await runChild(process.execPath, [synth, join(directory, "dev"), "dev", JSON.stringify({ bundles: true, root })]);
}
