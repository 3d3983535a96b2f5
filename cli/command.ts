import type { RogerApi } from "../client/api.ts";

/** The command line makes no sense: exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

export interface Option {
  readonly type: "string" | "boolean";
  readonly multiple?: boolean;
  /** What stands for the value in the help: `<seconds>`. */
  readonly value?: string;
  readonly help: string;
}

/** What a command was given, its options checked for being known, its positionals for their number. */
export interface Input {
  readonly api: RogerApi;
  readonly positionals: readonly string[];
  text(option: string): string | undefined;
  texts(option: string): readonly string[];
  flag(option: string): boolean;
  readStdin(): Promise<string>;
  /** Says how far a long command is, beside its answer. */
  tell(line: string): void;
}

export interface Output {
  /** What `--json` prints: the API's answer. */
  readonly answer: unknown;
  /** What people see. */
  readonly lines: readonly string[];
}

/** What is printed a part at a time, as it comes: lines for people, or together one JSON document. */
export interface Streamed {
  parts(json: boolean): AsyncIterable<readonly string[]>;
}

/** One command as data: parsing, help and dispatch are made of it. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** The usage line after the name: `<partition> <queue>=<max_workers>…`. */
  readonly usage: string;
  /** How many positionals it takes, at least and at most. */
  readonly positionals: readonly [number, number];
  readonly options: Readonly<Record<string, Option>>;
  /** Without the leading `roger`. */
  readonly examples: readonly string[];
  run(input: Input): Promise<Output | Streamed>;
}

export const WAIT: Option = { type: "string", value: "<seconds>", help: "wait up to 25 s for the effect" };

/** @throws UsageError */
export function numberOption(input: Input, option: string): number | undefined {
  const text = input.text(option);
  if (text === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(text)) throw new UsageError(`--${option}: "${text}" is no number`);
  return Number(text);
}

/** Those of a list say nothing where one is asked for. @throws UsageError */
export function refuseOptions(input: Input, options: readonly string[]): void {
  const said = options.find((option) => input.text(option) !== undefined || input.flag(option));
  if (said !== undefined) throw new UsageError(`--${said} is for lists`);
}

/** The positional at `index`, whose presence the table of commands has asked for. */
export function positional(input: Input, index: number): string {
  const value = input.positionals[index];
  if (value === undefined) throw new UsageError("something is missing");
  return value;
}

/** Leaves out what was not given, as the API client wants it. */
export function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as { [K in keyof T]?: Exclude<T[K], undefined> };
}
