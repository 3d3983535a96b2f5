import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** The last lines of every worker's log, for people: they say what a failed tour can't. */
export async function tailOfLogs(logDir: string, lines = 15): Promise<string> {
  // The first task makes the directory: a tour may fail before there is one.
  const names = existsSync(logDir) ? (await readdir(logDir)).sort() : [];
  const tails = names.map(async (name) => {
    const text = await readFile(join(logDir, name), "utf8");
    return [`--- ${name}`, ...text.trimEnd().split("\n").slice(-lines)].join("\n");
  });
  return (await Promise.all(tails)).join("\n");
}
