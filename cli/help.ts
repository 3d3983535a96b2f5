import { buriedCommands } from "./buried.ts";
import type { Command, Option } from "./command.ts";
import { jobCommands } from "./jobs.ts";
import { partitionCommands } from "./partitions.ts";
import { queueCommands } from "./queues.ts";
import { taskCommands } from "./tasks.ts";

const GROUPS: readonly (readonly [string, readonly Command[]])[] = [
  ["Partitions", partitionCommands],
  ["Queues", queueCommands],
  ["Jobs", [...jobCommands, ...buriedCommands]],
  ["Tasks", taskCommands],
];

export const GLOBAL_OPTIONS: Readonly<Record<string, Option>> = {
  api: { type: "string", value: "<url>", help: "the HTTP API; else ROGER_API, else http://127.0.0.1:3000" },
  json: { type: "boolean", help: "print the API's answer as it is" },
  help: { type: "boolean", help: "this help, or that of a command" },
  version: { type: "boolean", help: "the version" },
};

export function findCommand(name: string): Command | undefined {
  return GROUPS.flatMap(([, commands]) => commands).find((command) => command.name === name);
}

export function generalHelp(): string[] {
  const width = Math.max(...GROUPS.flatMap(([, commands]) => commands.map(({ name }) => name.length)));
  return [
    "Usage: roger <command> [options]",
    ...GROUPS.flatMap(([title, commands]) => ["", `${title}:`, ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)]),
    "",
    "Options of every command:",
    ...optionLines(GLOBAL_OPTIONS),
    "",
    "Exit codes: 0 done, 1 refused, 2 the command line makes no sense, 3 the API can't be reached",
    "",
    "roger help <command> shows its arguments and examples",
  ];
}

export function commandHelp(command: Command): string[] {
  const own = Object.keys(command.options).length === 0 ? [] : ["", "Options:", ...optionLines(command.options)];
  return [
    `Usage: ${usageLine(command)}`,
    "",
    `${command.summary[0]?.toUpperCase()}${command.summary.slice(1)}.`,
    ...own,
    "",
    command.examples.length === 1 ? "Example:" : "Examples:",
    ...command.examples.map((example) => `  roger ${example}`),
  ];
}

export function usageLine(command: Command): string {
  return ["roger", command.name, command.usage, ...(Object.keys(command.options).length === 0 ? [] : ["[options]"])]
    .filter((part) => part !== "")
    .join(" ");
}

function optionLines(options: Readonly<Record<string, Option>>): string[] {
  const names = Object.entries(options).map(([name, { value }]) => `--${name}${value === undefined ? "" : ` ${value}`}`);
  const width = Math.max(...names.map(({ length }) => length));
  return Object.values(options).map(({ help }, i) => `  ${(names[i] ?? "").padEnd(width)}  ${help}`);
}
