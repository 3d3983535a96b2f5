import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("supervise.sh", import.meta.url));

export interface Supervised {
  readonly directory: string;
  /** Remove the directory at the end, even if this process is killed. */
  readonly removeDirectory: boolean;
  readonly epmd: string;
  readonly epmdPort: number;
  readonly server: string;
  /** The node's whole environment, but for PATH. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Our end of supervise.sh: one node, run as often as we like.
 *
 * down -run-> up; up -kill, stop or its own death-> down; either -release-> gone.
 */
export class Supervisor {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #gone: Promise<unknown>;
  #started = Promise.withResolvers<number>();
  #ended = Promise.withResolvers<string>();

  private constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    this.#gone = once(child, "exit");
    // A pipe to a supervisor that is gone: its exit says so already.
    child.stdin.on("error", () => undefined);
    createInterface({ input: child.stdout }).on("line", (line) => this.#hear(line));
    child.once("exit", (code, signal) => this.#ended.resolve(`supervisor: ${signal ?? code}`));
  }

  /** Starts the supervisor and, with it, the node for the first time. */
  static start(what: Supervised): Supervisor {
    const afterwards = what.removeDirectory ? "remove" : "keep";
    const assignments = Object.entries(what.env).map(([name, value]) => `${name}=${value}`);
    const args = [SCRIPT, what.directory, afterwards, what.epmd, String(what.epmdPort), ...assignments, what.server];
    // A session of its own: Ctrl-C in a terminal reaches us alone, and we end things in order.
    return new Supervisor(spawn("sh", args, { stdio: ["pipe", "pipe", "ignore"], detached: true, cwd: what.directory }));
  }

  /** Resolves with the reason once the present node is down. */
  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  /** Runs the node again; one that is up is stopped in order first. @throws Error once it was released */
  async run(): Promise<void> {
    if (this.#child.stdin.writableEnded) throw new Error("this RabbitMQ node was stopped for good");
    await this.#bringDown(() => this.#child.stdin.write("stop\n"));
    this.#started = Promise.withResolvers();
    this.#ended = Promise.withResolvers();
    this.#child.stdin.write("run\n");
  }

  /** SIGKILL to the node; returns once it is down. */
  async kill(): Promise<void> {
    const pid = await this.#started.promise;
    await this.#bringDown(() => process.kill(pid, "SIGKILL"));
  }

  /** Lets go of the leash: the node stops in order, everything is cleaned up, the supervisor exits. */
  async release(): Promise<void> {
    this.#child.stdin.end();
    await this.#gone;
  }

  async #bringDown(how: () => void): Promise<void> {
    // n.b. a pid is only ours while its node is up: without this question a second kill could hit a stranger.
    const up = Symbol("up");
    if ((await Promise.race([this.#ended.promise, Promise.resolve(up)])) === up) how();
    await this.#ended.promise;
  }

  #hear(line: string): void {
    const [event, value] = line.split(" ");
    if (event === "started") this.#started.resolve(Number(value));
    if (event === "ended") this.#ended.resolve(`exit status ${value}`);
  }
}
