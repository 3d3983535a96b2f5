import { readFileSync } from "node:fs";

/** One instruction: `COPY core ./core`. */
export interface Instruction {
  readonly line: number;
  readonly name: string;
  readonly rest: string;
}

/** From one FROM to the next. */
export interface Stage {
  readonly base: string;
  readonly name: string | undefined;
  readonly instructions: readonly Instruction[];
}

/** The stages of a Dockerfile without heredocs, parser directives and build arguments: ours has none. */
export function readDockerfile(file: string): Stage[] {
  return parseDockerfile(readFileSync(file, "utf8"));
}

export function parseDockerfile(text: string): Stage[] {
  const stages: { base: string; name: string | undefined; instructions: Instruction[] }[] = [];
  for (const instruction of instructionsOf(text)) {
    if (instruction.name === "FROM") {
      const [base = "", , name] = instruction.rest.split(/\s+/);
      stages.push({ base, name, instructions: [] });
    }
    stages.at(-1)?.instructions.push(instruction);
  }
  return stages;
}

function instructionsOf(text: string): Instruction[] {
  const instructions: Instruction[] = [];
  let open = "";
  let start = 0;
  for (const [index, raw] of text.split("\n").entries()) {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) continue;
    if (open === "") start = index + 1;
    open += line.replace(/\\$/, " ");
    if (line.endsWith("\\")) continue;
    const [, name = "", rest = ""] = /^(\S+)\s*(.*)$/.exec(open) ?? [];
    instructions.push({ line: start, name: name.toUpperCase(), rest });
    open = "";
  }
  return instructions;
}

export function named(stage: Stage | undefined, name: string): Instruction[] {
  return stage?.instructions.filter((instruction) => instruction.name === name) ?? [];
}

/** `["node", "a.ts"]` of an instruction in exec form; `undefined` of one that goes through a shell. */
export function execForm({ rest }: Instruction): string[] | undefined {
  try {
    const words: unknown = JSON.parse(rest);
    return Array.isArray(words) ? words.map(String) : undefined;
  } catch {
    // No JSON: the shell's form.
    return undefined;
  }
}

/**
 * What is wrong with an image for a task that drains, runs as nobody in particular, and is the same tomorrow. The rules
 * are those of hadolint that matter here, by their numbers, and ours.
 */
export function findFaults(text: string): string[] {
  const stages = parseDockerfile(text);
  const last = stages.at(-1);
  const faults: string[] = [];
  const fault = (at: Instruction | undefined, what: string) => faults.push(`line ${at?.line ?? 0}: ${what}`);
  const known = new Set(stages.flatMap(({ name }) => name ?? []));
  for (const { base, instructions } of stages) {
    if (!known.has(base) && !/:\d+\.\d+\.\d+/.test(base) && !base.includes("@sha256:"))
      fault(instructions[0], `${base} is no exact version (DL3006, DL3007)`);
    for (const instruction of instructions) {
      const { name, rest } = instruction;
      if (name === "ADD") fault(instruction, "ADD unpacks and downloads; COPY does what it says (DL3020)");
      if (name === "COPY" && /^\.\/?\s/.test(rest)) fault(instruction, "copies everything that is not ignored");
      if (name === "RUN" && /\bnpm (install|i)\b/.test(rest)) fault(instruction, "npm ci installs what the lock file says");
      if (name === "RUN" && /\bnpm ci\b/.test(rest) && !rest.includes("--omit=dev"))
        fault(instruction, "development packages have no place in an image");
      if (name === "RUN" && /\bsudo\b/.test(rest)) fault(instruction, "sudo (DL3004)");
      if (name === "ENV" && /(PASSWORD|SECRET|TOKEN|AMQP_URL)/.test(rest)) fault(instruction, "a secret in an image is no secret");
      if (name === "WORKDIR" && !rest.startsWith("/")) fault(instruction, "WORKDIR must be absolute (DL3000)");
    }
  }
  const users = named(last, "USER");
  if (users.length === 0 || /^(root|0)\b/.test(users.at(-1)?.rest ?? "")) fault(users.at(-1), "runs as root (DL3002)");
  const commands = [...named(last, "CMD"), ...named(last, "ENTRYPOINT")];
  if (named(last, "CMD").length !== 1) fault(commands[0], "needs one CMD (DL4003)");
  for (const command of commands) if (execForm(command) === undefined) fault(command, `${command.name} must be in exec form (DL3025)`);
  return faults;
}
