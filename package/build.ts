import { execFileSync } from "node:child_process";
import { cpSync, globSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { entriesOf, type Manifest, packageOf, ROOT, readManifest } from "./manifest.ts";
import { isComment, reach } from "./reach.ts";

/**
 * Makes dist/: the package's JavaScript and its types, in the rooms of the sources. `npm pack` and `npm publish` run it first.
 * The compiler takes the types off; what is left are names of files that it does not look at, and files that nobody needs.
 */
const DIST = join(ROOT, "dist");
/** From every room. */
const NO_JOBS = "../package/no-jobs.js";

build(readManifest());

function build(manifest: Manifest): void {
  rmSync(DIST, { recursive: true, force: true });
  // n.b. npm prints the package's name on stdout, for scripts to read: everybody else writes to stderr.
  execFileSync(process.execPath, [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"], {
    cwd: ROOT,
    stdio: ["ignore", 2, 2],
  });
  for (const file of files()) renameSources(join(ROOT, file));
  cpSync(join(ROOT, "package/Dockerfile"), join(DIST, "worker/Dockerfile"));
  cpSync(join(ROOT, "package/Dockerfile.dockerignore"), join(DIST, "worker/Dockerfile.dockerignore"));
  // Some modules tell the version, and look for it beside their rooms.
  writeFileSync(join(DIST, "package.json"), `${JSON.stringify({ version: manifest.version, type: "module" }, null, 2)}\n`);

  const { files: needed, names } = reach(ROOT, entriesOf(manifest));
  for (const file of files()) if (/\.(js|ts)$/.test(file) && !needed.has(file)) rmSync(join(ROOT, file));
  refuseStrangers(names, manifest);
}

function files(): string[] {
  return globSync("dist/**/*", { cwd: ROOT }).filter((file) => statSync(join(ROOT, file)).isFile());
}

/**
 * Threads are started by the name of their file, and declarations import by it: both have become something else. And `#jobs` are
 * the application's, whose own manifest can't say so for us.
 */
function renameSources(path: string): void {
  const lines = readFileSync(path, "utf8").split("\n");
  const rename = (line: string) => line.replace(/"(\.{1,2}\/[^"]+)\.ts"/g, '"$1.js"').replace(/import\("#jobs"\)/, `import("${NO_JOBS}")`);
  const renamed = lines.map((line) => (isComment(line) ? line : rename(line)));
  writeFileSync(path, renamed.join("\n"));
}

/** @throws Error for a package that only those have who work on this repository */
function refuseStrangers(names: ReadonlyMap<string, string>, { dependencies }: Manifest): void {
  const known = (name: string) => name in dependencies || `@types/${name}` in dependencies;
  for (const [name, file] of names) {
    if (name.startsWith("node:") || known(packageOf(name))) continue;
    throw new Error(`${file} needs ${name}, which is not among the dependencies`);
  }
}
