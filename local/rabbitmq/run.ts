import { spawn } from "node:child_process";

export interface Finished {
  /** Exit status; 128 when a signal ended it. */
  readonly status: number;
  /** What it wrote to stdout and stderr, in order. */
  readonly output: string;
}

/** Runs a program to its end. @throws Error only when it can't be started at all */
export function run(program: string, args: readonly string[]): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const output: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => output.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => output.push(chunk));
    child.once("error", reject);
    child.once("close", (code) => resolve({ status: code ?? 128, output: Buffer.concat(output).toString() }));
  });
}
