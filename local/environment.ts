import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { InvalidInput } from "../core/contract/errors.ts";

/** The repository's root. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));

export const HELP = `Options (or the same as environment; an option wins):
  --port <n>        ROGER_PORT    port of the HTTP API; default 3000, or the next free one
  --jobs <module>   ROGER_JOBS    any module that exports job definitions; default jobs/index.ts
  --tasks <a..b>    ROGER_TASKS   how few and how many worker processes; default 1..3
  --slots <n>       ROGER_SLOTS   jobs that a worker runs at once; default 10
  --data <dir>      ROGER_DATA    keep the state there; default: it is forgotten at the end
  --help
Used instead of what would be started here:
  ROGER_AMQP_URL              a RabbitMQ that runs already
  AWS_ENDPOINT_URL_DYNAMODB   a DynamoDB that runs already`;

/** What the local cloud is started with: total. */
export interface LocalSettings {
  /** 0 takes any free one. */
  readonly port: number;
  /** The port was not asked for by name: when it is taken, the next free one will do. */
  readonly portMayMove: boolean;
  /** Absolute path of the module that exports the job definitions. */
  readonly jobs: string;
  /** Tasks of the one pool. */
  readonly tasks: { readonly min: number; readonly max: number };
  readonly slots: number;
  /** Absolute; `undefined`: nothing is kept. */
  readonly dataDir: string | undefined;
  readonly amqpUrl: string | undefined;
  readonly dynamoEndpoint: string | undefined;
  /** What worker processes inherit: all but what would lead them out of the local cloud. */
  readonly inherited: Readonly<Record<string, string>>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where a value came from and what it is: errors name the flag or the variable that the user wrote. */
interface Given {
  readonly name: string;
  readonly text: string;
}

export function wantsHelp(argv: readonly string[]): boolean {
  return argv.includes("--help") || argv.includes("-h");
}

/**
 * @param argv the arguments after the script's name
 * @throws InvalidInput naming the flag or the variable
 */
export function localSettings(argv: readonly string[], env: Environment = process.env): LocalSettings {
  const flags = parseFlags(argv);
  const given = (flag: keyof typeof FLAGS): Given | undefined => {
    const fromFlag = flags[flag];
    if (fromFlag !== undefined) return { name: `--${flag}`, text: fromFlag };
    const variable = FLAGS[flag];
    const fromEnv = env[variable];
    return fromEnv === undefined || fromEnv === "" ? undefined : { name: variable, text: fromEnv };
  };
  // npm runs scripts at the package's root; INIT_CWD is where its user stands, which paths are relative to.
  const here = env.INIT_CWD ?? process.cwd();
  const port = given("port");
  const data = given("data");
  return {
    port: whole(port, { otherwise: 3000, min: 0, max: 65_535 }),
    portMayMove: port === undefined,
    jobs: jobsModule(given("jobs"), here),
    tasks: range(given("tasks")),
    slots: whole(given("slots"), { otherwise: 10, min: 1, max: 1_000 }),
    dataDir: data === undefined ? undefined : resolve(here, data.text),
    amqpUrl: url(env, "ROGER_AMQP_URL", ["amqp:", "amqps:"]),
    dynamoEndpoint: url(env, "AWS_ENDPOINT_URL_DYNAMODB", ["http:", "https:"]),
    inherited: inherited(env),
  };
}

const FLAGS = { port: "ROGER_PORT", jobs: "ROGER_JOBS", tasks: "ROGER_TASKS", slots: "ROGER_SLOTS", data: "ROGER_DATA" } as const;

function parseFlags(argv: readonly string[]): Partial<Record<keyof typeof FLAGS, string>> {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({ args: [...argv], options: { port: text, jobs: text, tasks: text, slots: text, data: text } });
    return values;
  } catch (cause) {
    // parseArgs names the flag in its message only.
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidInput(/--?[\w-]+/.exec(message)?.[0] ?? "arguments", message);
  }
}

function whole(
  given: Given | undefined,
  { otherwise, min, max }: { readonly otherwise: number; readonly min: number; readonly max: number },
): number {
  if (given === undefined) return otherwise;
  const value = /^\d+$/.test(given.text) ? Number(given.text) : Number.NaN;
  if (!(value >= min && value <= max)) throw new InvalidInput(given.name, `"${given.text}" is no whole number from ${min} to ${max}`);
  return value;
}

function range(given: Given | undefined): { min: number; max: number } {
  if (given === undefined) return { min: 1, max: 3 };
  const [, low, high] = /^(\d{1,3})(?:\.\.(\d{1,3}))?$/.exec(given.text) ?? [];
  if (low === undefined) throw new InvalidInput(given.name, `"${given.text}" is neither min..max, like 1..3, nor one number`);
  const tasks = { min: Number(low), max: Number(high ?? low) };
  if (tasks.max < 1) throw new InvalidInput(given.name, "at least one task must be allowed");
  if (tasks.min > tasks.max) throw new InvalidInput(given.name, `"${given.text}": the first number must not be above the second`);
  return tasks;
}

function jobsModule(given: Given | undefined, here: string): string {
  if (given === undefined) return resolve(ROOT, "jobs/index.ts");
  const path = resolve(here, given.text);
  if (!existsSync(path)) throw new InvalidInput(given.name, `there is no file ${path}`);
  return path;
}

function url(env: Environment, name: string, protocols: readonly string[]): string | undefined {
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol))
    throw new InvalidInput(name, `"${text}" is no ${protocols.join("// or ")}// URL`);
  return text;
}

/** Jobs may need the user's own variables; the real AWS is not for them, nor what npm and its caller tell this process. */
function inherited(env: Environment): Record<string, string> {
  const kept = Object.entries(env).filter(([name, value]) => value !== undefined && !/^(AWS_|ECS_|npm_|NODE_OPTIONS$)/.test(name));
  return Object.fromEntries(kept) as Record<string, string>;
}
