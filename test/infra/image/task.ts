import { existsSync } from "node:fs";
import { chmod, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { STOP_TIMEOUT_MS } from "../../../core/contract/limits.ts";
import type { TaskDefinition } from "../../../local/ecs/task.ts";
import type { Image } from "./build.ts";

/** A container of a task definition, as far as a process has it. */
export interface Container {
  readonly environment: readonly { readonly name: string; readonly value: string }[];
  readonly secrets: readonly { readonly name: string; readonly valueFrom: string }[];
  readonly healthCheck: { readonly command: readonly string[] };
  readonly command?: readonly string[];
}

/** nobody, as in every Debian image. */
const NOBODY = "65534";
const SETPRIV = "/usr/bin/setpriv";

/**
 * The process that ECS would start: the image's command in the image's directory with the container's environment.
 * Where we are root it runs as nobody, to whom all of the image is read-only, as to the user of the image.
 * @param secrets what the container's secrets hold
 */
export async function processOf(
  image: Image,
  container: Container,
  more: { readonly secrets: Readonly<Record<string, string>>; readonly env: Readonly<Record<string, string>>; readonly logDir: string },
): Promise<Omit<TaskDefinition, "revision">> {
  const [program, ...args] = container.command ?? image.command;
  if (program !== "node") throw new Error(`the image runs ${program}, not node`);
  // The pinned Node is the image's; beside it, because nobody may not look into our directory.
  const node = join(image.directory, "node");
  await copyFile(process.execPath, node);
  await chmod(node, 0o755);
  const drop = process.getuid?.() === 0 && existsSync(SETPRIV);
  const words = drop ? [SETPRIV, `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", node, ...args] : [node, ...args];
  for (const { name } of container.secrets) if (more.secrets[name] === undefined) throw new Error(`the container's secret ${name} is not known`);
  return {
    family: "worker",
    command: words[0] ?? "",
    args: words.slice(1),
    cwd: image.directory,
    logDir: more.logDir,
    stopTimeoutMs: STOP_TIMEOUT_MS,
    env: { ...image.env, ...Object.fromEntries(container.environment.map(({ name, value }) => [name, value])), ...more.secrets, ...more.env },
  };
}
