import type { SourceFile } from "./source.ts";

/** Which rooms a room may import besides itself: arrows point one way only. Rooms that are not named here may import anything. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  store: ["core"],
  broker: ["core"],
  client: ["core", "store", "broker"],
  jobs: ["core", "client"],
  functions: ["core", "store", "broker", "client", "jobs"],
  worker: ["core", "store", "broker", "client", "jobs"],
  cli: ["core", "store", "broker", "client"],
  local: ["core", "store", "broker", "client", "functions", "worker", "cli", "jobs"],
  testing: ["core", "client", "worker"],
  infra: ["core"],
  package: ["core"],
  examples: [],
};

/** What else the rooms that stay pure may import. The reason is the design's: rules must run without a cloud. */
export const PACKAGES: Readonly<Record<string, RegExp>> = {
  core: /^(node:|@standard-schema\/spec$|uuid$)/,
};

export interface Ban {
  readonly name: string;
  readonly pattern: RegExp;
  readonly allowed: (file: SourceFile) => boolean;
  readonly why: string;
}

const rooms =
  (...names: string[]) =>
  (file: SourceFile): boolean =>
    names.includes(file.room);

const files =
  (...paths: string[]) =>
  (file: SourceFile): boolean =>
    paths.includes(file.path);

const any =
  (...allowed: ((file: SourceFile) => boolean)[]) =>
  (file: SourceFile): boolean =>
    allowed.some((allows) => allows(file));

const isTest = (file: SourceFile): boolean => file.path.endsWith(".test.ts");
const isConfiguration = (file: SourceFile): boolean => /(^|\/)\w+\.config\.ts$/.test(file.path) || file.path.endsWith(".d.ts");

export const BANS: readonly Ban[] = [
  {
    name: "the machine's clock",
    pattern: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.now\b/,
    allowed: any(files("core/contract/clock.ts"), rooms("test", "bench", "jobs")),
    why: "time comes from core/contract/clock.ts, so that tests can turn it",
  },
  {
    name: "the environment",
    pattern: /\bprocess\.env\b/,
    allowed: any(files("client/environment.ts", "local/environment.ts", "local/bootstrap.mjs"), rooms("examples", "test")),
    why: "client/environment.ts and local/environment.ts read it: settings are checked once, and documented in one place",
  },
  {
    name: "the terminal",
    pattern: /(?<![\w.])console\.|\bprocess\.std(out|err)\b/,
    allowed: any(files("cli/printer.ts", "cli/roger.mjs", "local/printer.ts", "local/bootstrap.mjs"), rooms("bench", "test")),
    why: "people are spoken to through cli/printer.ts and local/printer.ts, logs go through pino",
  },
  {
    name: "a fixed sleep",
    pattern: /\bset(Timeout|Interval)\(\w+, [\d_]+\)\)|\bawait (sleep|delay|setTimeout)\([\d_]+/,
    allowed: (file) => !isTest(file),
    why: "tests wait for a signal or a condition (vi.waitFor): a sleep is too short on a busy machine and too long on any other",
  },
  {
    name: "a default export",
    pattern: /^export default\b/,
    allowed: isConfiguration,
    why: "a thing has one name, the same wherever it is used",
  },
  {
    name: "an open end",
    pattern: /\b(TODO|FIXME|XXX|HACK)\b/,
    allowed: () => false,
    why: "what isn't finished doesn't land; what is known to be missing is written in docs/",
  },
];

/** They attract whatever has no home. */
export const HOMELESS_NAME = /(^|[/.-])(utils?|helpers?|misc|common)([./-]|$)/;

export const MAX_FILE_LINES = 400;
export const MAX_FUNCTION_LINES = 70;
