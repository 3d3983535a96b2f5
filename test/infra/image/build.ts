import { cp, mkdir, readFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { runChild } from "../graph/child.ts";
import { ROOT } from "../graph/platform.ts";
import { execForm, named, readDockerfile, type Stage } from "./dockerfile.ts";

export interface Image {
  /** What is `WORKDIR` in the image. */
  readonly directory: string;
  /** CMD. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Does what worker/Dockerfile says, in directories instead of layers: copies what .dockerignore lets through, runs
 * `npm ci`, and copies from one stage to the next.
 */
export async function buildImage(directory: string): Promise<Image> {
  const stages = readDockerfile(join(ROOT, "worker/Dockerfile"));
  const allowed = await allowedPaths();
  for (const [index, stage] of stages.entries()) await buildStage(stage, stageDirectory(directory, stages, index), { directory, stages, allowed });
  const last = stages.at(-1);
  const command = named(last, "CMD").map(execForm)[0];
  if (last === undefined || command === undefined) throw new Error("the Dockerfile has no CMD in exec form");
  const env = Object.fromEntries(named(last, "ENV").map(({ rest }) => rest.split("=") as [string, string]));
  return { directory: join(stageDirectory(directory, stages, stages.length - 1), workdirOf(last)), command, env };
}

interface Building {
  readonly directory: string;
  readonly stages: readonly Stage[];
  readonly allowed: ReadonlySet<string>;
}

async function buildStage(stage: Stage, root: string, { directory, stages, allowed }: Building): Promise<void> {
  const workdir = join(root, workdirOf(stage));
  await mkdir(workdir, { recursive: true });
  for (const { name, rest, line } of stage.instructions) {
    if (name === "RUN") await runChild("sh", ["-c", rest.replace(/ && npm cache clean.*$/, "")], { cwd: workdir });
    if (name !== "COPY") continue;
    const [, from] = /^--from=(\S+)\s/.exec(rest) ?? [];
    const words = rest.replace(/^--\S+\s+/, "").split(/\s+/);
    const target = words.at(-1) ?? "";
    for (const source of words.slice(0, -1)) {
      if (from === undefined && !allowed.has(source.split("/")[0] ?? "")) throw new Error(`line ${line}: .dockerignore keeps ${source} out`);
      const index = stages.findIndex((other) => other.name === from);
      const origin = from === undefined ? join(ROOT, source) : join(stageDirectory(directory, stages, index), source);
      // As COPY: into a directory that is named with a slash; as the target, the contents of a directory otherwise.
      const end = join(workdir, target.endsWith("/") ? posix.join(target, posix.basename(source)) : target);
      await mkdir(dirname(end), { recursive: true });
      await cp(origin, end, { recursive: true, verbatimSymlinks: true });
    }
  }
}

function stageDirectory(directory: string, stages: readonly Stage[], index: number): string {
  return join(directory, stages[index]?.name ?? "image");
}

function workdirOf(stage: Stage): string {
  return named(stage, "WORKDIR").at(-1)?.rest ?? "/";
}

/** What .dockerignore, which names all that is allowed, lets into the context. */
async function allowedPaths(): Promise<ReadonlySet<string>> {
  const lines = (await readFile(join(ROOT, ".dockerignore"), "utf8")).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  if (lines[0] !== "*") throw new Error(".dockerignore must begin by keeping everything out");
  return new Set(lines.filter((line) => line.startsWith("!")).map((line) => line.slice(1)));
}
