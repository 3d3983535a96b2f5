import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runChild } from "../infra/graph/child.ts";
import { ROOT } from "../infra/graph/platform.ts";

/**
 * Type-checks what the application's `tsconfig.json` includes, or `options` on top of it, with the compiler of this repository.
 * @param include instead
 * @throws Error with what the compiler says
 */
export async function typeCheck(directory: string, options: object = {}, include?: readonly string[]): Promise<void> {
  const config = join(directory, "tsconfig.check.json");
  // The types of Node and of Lambda, which applications install for themselves.
  const compilerOptions = { ...options, typeRoots: [join(ROOT, "node_modules/@types")] };
  await writeFile(config, JSON.stringify({ extends: "./tsconfig.json", compilerOptions, include }));
  await runChild(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", config], { cwd: directory });
}
