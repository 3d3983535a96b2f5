import { access } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { run } from "./run.ts";

const SCRIPT = fileURLToPath(new URL("install.sh", import.meta.url));
const OUTPUT_TAIL_LINES = 5;

/**
 * Installs Debian's or Ubuntu's rabbitmq-server without starting it as a system service.
 * @returns why not; undefined once it is installed
 */
export async function installWithApt(tell: (line: string) => void): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return "only root may install";
  if (!(await exists("/usr/bin/apt-get"))) return "this is neither Debian nor Ubuntu";
  tell("installing rabbitmq-server with apt-get (about a minute)");
  const { status, output } = await run("sh", [SCRIPT]);
  if (status === 0) return undefined;
  const tail = output.trimEnd().split("\n").slice(-OUTPUT_TAIL_LINES);
  return `failed (${status}): ${tail.join(" | ")}`;
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
