import { parseArgs } from "node:util";
import { ApiProblem, RogerApi } from "../client/api.ts";
import type { Authorize } from "../client/api-auth.ts";
import { InvalidInput, RogerError } from "../core/contract/errors.ts";
import { type Command, type Input, UsageError } from "./command.ts";
import { commandHelp, findCommand, GLOBAL_OPTIONS, generalHelp, usageLine } from "./help.ts";
import { hintFor } from "./hints.ts";
import { printable } from "./table.ts";

/** Exit codes: done; refused by the API; a command line that makes no sense; the API can't be reached. */
export type ExitCode = 0 | 1 | 2 | 3;

export interface Surroundings {
  readonly version: string;
  /** Where the API is when `--api` doesn't say. @throws InvalidInput */
  apiUrl(): string;
  /** How calls of that API say who makes them. @default not at all */
  authorize?(url: string): Authorize | undefined;
  readStdin(): Promise<string>;
  print(lines: readonly string[]): void;
  printError(line: string): void;
}

/** One call of `roger`. */
export async function run(argv: readonly string[], around: Surroundings): Promise<ExitCode> {
  try {
    await dispatch(argv, around);
    return 0;
  } catch (error) {
    return failed(error, around);
  }
}

function failed(error: unknown, around: Surroundings): ExitCode {
  if (error instanceof UsageError) {
    around.printError(`error: ${error.message}`);
    return 2;
  }
  // Anything else is a bug, which should show its stack.
  if (!(error instanceof RogerError)) throw error;
  around.printError(`error: ${printable(error.message)} (${error.code})`);
  const hint = hintFor(error.code);
  if (hint !== undefined) around.printError(`hint: ${hint}`);
  return error.code === "unreachable" ? 3 : 1;
}

async function dispatch(argv: readonly string[], around: Surroundings): Promise<void> {
  const [first, ...rest] = argv;
  if (first === undefined || first === "help" || first === "--help" || first === "-h") return around.print(help(rest[0]));
  if (first === "--version") return around.print([around.version]);
  if (first.startsWith("-")) throw new UsageError("the command comes first, then its options; see roger help");
  await runCommand(known(first), rest, around);
}

function help(name: string | undefined): string[] {
  return name === undefined ? generalHelp() : commandHelp(known(name));
}

function known(name: string): Command {
  const command = findCommand(name);
  if (command === undefined) throw new UsageError(`there is no command "${name}"; see roger help`);
  return command;
}

async function runCommand(command: Command, args: readonly string[], around: Surroundings): Promise<void> {
  const { values, positionals } = parse(command, args);
  if (values.help === true) return around.print(commandHelp(command));
  if (values.version === true) return around.print([around.version]);
  const [least, most] = command.positionals;
  if (positionals.length < least || positionals.length > most) throw new UsageError(`usage: ${usageLine(command)}`);
  const input: Input = {
    api: openApi(typeof values.api === "string" ? values.api : undefined, around),
    positionals,
    text: (option) => (typeof values[option] === "string" ? values[option] : undefined),
    texts: (option) => (Array.isArray(values[option]) ? values[option].map(String) : []),
    flag: (option) => values[option] === true,
    readStdin: around.readStdin,
    // Not among what a program reads.
    tell: around.printError,
  };
  await runAndPrint(command, input, values.json === true, around);
}

/** With `--json` a refusal is an answer, too: it is printed unchanged before it becomes an error, unless an answer has begun. */
async function runAndPrint(command: Command, input: Input, json: boolean, around: Surroundings): Promise<void> {
  let hasBegun = false;
  try {
    const said = await command.run(input);
    if ("answer" in said) return around.print(json ? [JSON.stringify(said.answer)] : said.lines);
    for await (const part of said.parts(json)) {
      hasBegun = true;
      around.print(part);
    }
  } catch (error) {
    if (json && !hasBegun && error instanceof ApiProblem && error.body !== undefined) around.print([JSON.stringify(error.body)]);
    throw error;
  }
}

function openApi(url: string | undefined, around: Surroundings): RogerApi {
  try {
    const at = url ?? around.apiUrl();
    // Without a signer first: what is no URL is refused by its own name.
    const api = new RogerApi(at);
    const authorize = around.authorize?.(at);
    return authorize === undefined ? api : new RogerApi(at, { authorize });
  } catch (error) {
    if (error instanceof InvalidInput) throw new UsageError(url === undefined ? error.message : `--api: "${url}" is no http(s) URL`);
    throw error;
  }
}

function parse(command: Command, args: readonly string[]): { values: Readonly<Record<string, unknown>>; positionals: string[] } {
  const options = Object.entries({ ...GLOBAL_OPTIONS, ...command.options }).map(
    ([name, { type, multiple = false }]) => [name, { type, multiple, ...(name === "help" ? { short: "h" } : {}) }] as const,
  );
  try {
    return parseArgs({ args: [...args], options: Object.fromEntries(options), allowPositionals: true, strict: true });
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(`${printable(error.message).replace(/\.+$/, "")}; see roger help ${command.name}`);
    throw error;
  }
}
