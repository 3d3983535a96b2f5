import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ROOT } from "../environment.ts";

/** Installed packages with many files of all sizes. */
const PACKAGES = ["typescript", "zod", "hono", "@hono/zod-openapi"];

/** The first `count` regular files of some installed packages, in the order of their paths. */
export async function realFiles(count: number): Promise<string[]> {
  const paths: string[] = [];
  for (const name of PACKAGES) {
    const entries = await readdir(join(ROOT, "node_modules", name), { recursive: true, withFileTypes: true });
    paths.push(
      ...entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name))
        .sort(),
    );
    if (paths.length >= count) break;
  }
  return paths.slice(0, count);
}

/** What the results in a file come to, beside digests computed here and now. */
export interface Comparison {
  /** Files with a result, and all their results right. */
  readonly right: number;
  readonly wrong: readonly string[];
  readonly missing: readonly string[];
  /** Results beyond the first of a file: at-least-once delivery allows them. */
  readonly repeated: number;
}

export async function compareDigests(paths: readonly string[], resultFile: string): Promise<Comparison> {
  const results = Map.groupBy(await readResults(resultFile), ({ path }) => path);
  const wrong: string[] = [];
  const missing: string[] = [];
  let repeated = 0;
  for (const path of paths) {
    const digests = results.get(path)?.map(({ digest }) => digest) ?? [];
    const expected = createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
    if (digests.length === 0) missing.push(path);
    else if (digests.some((digest) => digest !== expected)) wrong.push(path);
    repeated += Math.max(0, digests.length - 1);
  }
  return { right: paths.length - wrong.length - missing.length, wrong, missing, repeated };
}

/** How many files have a result by now. */
export async function countResults(resultFile: string): Promise<number> {
  return new Set((await readResults(resultFile)).map(({ path }) => path)).size;
}

async function readResults(resultFile: string): Promise<{ digest: string; path: string }[]> {
  const text = await readFile(resultFile, "utf8");
  // A last line without its end is still being written.
  const lines = text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line !== "");
  return lines.map((line) => ({ digest: line.slice(0, 64), path: line.slice(66) }));
}
