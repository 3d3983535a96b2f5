import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { APIGatewayProxyStructuredResultV2 } from "aws-lambda";

/**
 * A Lambda's process: the bundle in its own directory, where nothing of ours is in reach that was left out of it, with the
 * function's environment and no other. One invocation at a time, as Lambda does it.
 */
export class LambdaProcess {
  readonly #child: ChildProcess;
  /** What it wrote to its log. */
  #log = "";

  constructor(directory: string, env: Readonly<Record<string, string>>) {
    this.#child = fork(join(import.meta.dirname, "lambda-host.ts"), [join(directory, "bundle.mjs")], {
      cwd: directory,
      env,
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    });
    this.#child.stdout?.on("data", (chunk) => {
      this.#log += chunk;
    });
  }

  async invoke(event: object): Promise<APIGatewayProxyStructuredResultV2> {
    const waiting = new AbortController();
    const { signal } = waiting;
    try {
      const answered = once(this.#child, "message", { signal });
      const ended = once(this.#child, "exit", { signal }).then(() => Promise.reject(new Error("the Lambda's process has ended")));
      // Whichever comes second is of no interest.
      ended.catch(() => {});
      this.#child.send(event);
      const [answer] = (await Promise.race([answered, ended])) as [APIGatewayProxyStructuredResultV2];
      return answer;
    } finally {
      waiting.abort();
    }
  }

  /** Its log so far, line by line. */
  get log(): Record<string, unknown>[] {
    const lines = this.#log.slice(0, this.#log.lastIndexOf("\n") + 1).split("\n");
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.kill();
    await ended;
  }
}
