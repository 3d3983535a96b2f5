import { access, constants, glob, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run } from "./run.ts";

/** The two programs that a private node consists of, as absolute paths. */
export interface Installation {
  readonly server: string;
  readonly epmd: string;
}

/** Debian and RPM packages, a generic Unix archive unpacked by hand, Homebrew on ARM and on Intel. */
const SERVERS = [
  "/usr/lib/rabbitmq/bin/rabbitmq-server",
  "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
  "/opt/rabbitmq/sbin/rabbitmq-server",
  "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
  "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
];

/** The RabbitMQ that is installed on this machine, if any. */
export async function findInstallation(): Promise<Installation | undefined> {
  const server = (await firstExecutable(SERVERS)) ?? (await serverOnPath());
  if (server === undefined) return undefined;
  const epmd = await findEpmd();
  return epmd === undefined ? undefined : { server, epmd };
}

/** What packages put on the PATH is a wrapper that runs only as root or as their own user: no use for a private node. */
async function serverOnPath(): Promise<string | undefined> {
  const found = await onPath("rabbitmq-server");
  if (found === undefined) return undefined;
  const real = await realpath(found);
  return basename(real) === "rabbitmq-script-wrapper" ? undefined : real;
}

/** The Erlang port mapper: on the PATH, or in the Erlang that `erl` belongs to. */
async function findEpmd(): Promise<string | undefined> {
  const found = await onPath("epmd");
  if (found !== undefined) return found;
  const erl = await onPath("erl");
  return erl === undefined ? undefined : firstExecutable([join(dirname(dirname(await realpath(erl))), "erts-*/bin/epmd")]);
}

async function onPath(program: string): Promise<string | undefined> {
  const { status, output } = await run("sh", ["-c", 'command -v "$1"', "sh", program]);
  return status === 0 ? output.trim() : undefined;
}

async function firstExecutable(patterns: readonly string[]): Promise<string | undefined> {
  for (const pattern of patterns) {
    for await (const path of glob(pattern)) {
      if (await isExecutable(path)) return path;
    }
  }
  return undefined;
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
