import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { ROOT } from "./platform.ts";

const exec = promisify(execFile);

export interface ChildOptions {
  /** @default the repository's root */
  readonly cwd?: string;
  /** On top of ours. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a program to its end. @returns what it wrote to stdout @throws Error with all that it wrote */
export async function runChild(program: string, args: readonly string[], { cwd = ROOT, env = {} }: ChildOptions = {}): Promise<string> {
  try {
    const { stdout } = await exec(program, args, { cwd, env: { ...process.env, ...env }, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${program} ${args[0] ?? ""} failed: ${message.split("\n")[0]}\n${stdout}${stderr}`, { cause: error });
  }
}
