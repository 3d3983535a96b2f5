import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, relative, sep } from "node:path";
import type { ApiApp } from "../core/contract/api-routes.ts";
import { InvalidInput } from "../core/contract/errors.ts";
import type { Statement } from "./access.ts";
import type { Host, Image } from "./host.ts";

export interface ApplicationCode {
  /** The module that exports the jobs, seen from the app's root: `jobs/index.ts`. */
  readonly jobs: string;
  /** @default the package's own Dockerfile, which copies the app and installs what its package-lock.json says */
  readonly image?: Image;
  /** For jobs: what they find in `process.env`. @default nothing of theirs */
  readonly environment?: Readonly<Record<string, $util.Input<string>>>;
  /** For jobs: what the tasks' role allows. @default what Roger itself needs */
  readonly permissions?: readonly Statement<$util.Input<string>>[];
}

const PACKAGE = "roger-serverless";
/** Functions that show jobs: the definitions say what of them may be seen. */
const KNOW_JOBS: readonly string[] = ["jobs", "queues"] satisfies ApiApp[];

/**
 * An application that has this package among its own. Handlers are written beside SST's own files, each a line or two that
 * brings a function of the package and the application's jobs together, for SST to bundle like any other.
 * @throws InvalidInput when there is no such jobs module
 */
export function applicationHost({ jobs, image, environment, permissions = [] }: ApplicationCode): Host {
  const { root, work } = $cli.paths;
  const module = jobsModule(root, jobs);
  const directory = join(work, "roger");
  return {
    name: (base) => `Roger${base}`,
    handler: (file) => {
      mkdirSync(directory, { recursive: true });
      writeFileSync(join(directory, `${file}.mjs`), entry(file, path(directory, module)));
      return `${path(root, join(directory, file))}.handler`;
    },
    image: image ?? { context: ".", dockerfile: path(root, join(packageDirectory(root), "dist/worker/Dockerfile")) },
    environment: { ...environment, ROGER_JOBS: `./${path(root, module)}` },
    permissions,
  };
}

function entry(file: string, jobs: string): string {
  const from = `"${PACKAGE}/functions/${file}"`;
  if (!KNOW_JOBS.includes(file)) return `export { handler } from ${from};\n`;
  return `import { handlerFor } from ${from};\n\nexport const handler = handlerFor(() => import(${JSON.stringify(jobs)}));\n`;
}

/** @returns its absolute path; what is outside the app's root would not be in the image */
function jobsModule(root: string, jobs: string): string {
  const module = join(root, jobs);
  if (isAbsolute(jobs) || path(root, module).startsWith("..")) throw new InvalidInput("jobs", `"${jobs}" is not a path inside ${root}`);
  if (!existsSync(module)) throw new InvalidInput("jobs", `there is no file ${module}`);
  return module;
}

function packageDirectory(root: string): string {
  return dirname(createRequire(join(root, "package.json")).resolve(`${PACKAGE}/package.json`));
}

/** As a specifier, a handler and a Dockerfile are written, on every system. */
function path(from: string, to: string): string {
  return relative(from, to).split(sep).join("/");
}
