import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..");

/** What the package's manifest says, as far as building it goes. */
export interface Manifest {
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

export function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
}

/** Started by path, not imported by name: by the command line, and by the image of a task. */
const PROGRAMS = ["dist/cli/main.js", "dist/worker/main.js"];

/** Where the package is entered, from its root: everything else in it is there because these need it. */
export function entriesOf({ exports }: Manifest): string[] {
  const modules = Object.values(exports)
    .filter((target) => target.endsWith(".js"))
    .map((target) => target.replace(/^\.\//, ""));
  return [...PROGRAMS, ...modules, ...modules.map((module) => module.replace(/\.js$/, ".d.ts"))];
}

/** @returns `@aws-sdk/lib-dynamodb` for `@aws-sdk/lib-dynamodb/dist/x` */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
