import { fileURLToPath, pathToFileURL } from "node:url";
import { describeError, RogerError } from "../core/contract/errors.ts";
import { type Registry, registryOf } from "../core/job/registry.ts";
import { ROOT } from "./environment.ts";
import "./lend-packages.ts";

/** The jobs module has a mistake: its author reads where. */
export class JobsUnusable extends RogerError {
  constructor(message: string, options?: ErrorOptions) {
    super("jobs_unusable", message, options);
    this.name = "JobsUnusable";
  }
}

/** The job definitions that a module exports. @throws JobsUnusable */
export async function loadJobs(path: string): Promise<Registry> {
  let registry: Registry;
  try {
    registry = registryOf((await import(pathToFileURL(path).href)) as Record<string, unknown>);
  } catch (cause) {
    throw new JobsUnusable(`the jobs of ${path} can't be used:${whatIsWrong(cause)}`, { cause });
  }
  if (registry.size === 0) throw new JobsUnusable(`${path} exports no jobs: export const hello = defineJob({ … })`);
  return registry;
}

/** The message, and which line it is about: of code that can't be read the line itself, else where the author's own code was. */
function whatIsWrong(error: unknown): string {
  const { message, stack = "" } = describeError(error);
  const [head = "", ...frames] = stack.split(/\n\s+at /);
  if (error instanceof SyntaxError && head.includes("\n")) return `\n${head}`;
  const place = frames.map((frame) => /file:\/\/[^\s)]+/.exec(frame)?.[0]).find((at) => at !== undefined && isAuthors(at));
  const missing = /^Cannot find package '([^']+)'/.exec(message)?.[1];
  return [
    ` ${message}`,
    ...(missing === undefined ? [] : [`; npm install ${missing}`]),
    ...(place === undefined ? [] : [`\n    at ${shown(place)}`]),
  ].join("");
}

function isAuthors(place: string): boolean {
  return !place.includes("/node_modules/") && !["core", "client", "local"].some((room) => place.startsWith(pathToFileURL(`${ROOT}${room}/`).href));
}

/** `file:///a/b.ts:4:22` as `/a/b.ts:4:22`. */
function shown(place: string): string {
  const [, url = place, position = ""] = /^(.*?)((?::\d+)*)$/.exec(place) ?? [];
  return `${fileURLToPath(url)}${position}`;
}
