import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { dirname, join, posix } from "node:path";

const ROOT = join(import.meta.dirname, "../..");

export interface SourceFile {
  /** From the root of the repository: `core/job/retry.ts`. */
  readonly path: string;
  /** The first part of the path; empty for files at the root. */
  readonly room: string;
  readonly lines: readonly string[];
  /** The same lines without comments: what runs. */
  readonly code: readonly string[];
}

export interface Import {
  readonly line: number;
  /** As written: `./retry.ts`, `node:fs`, `#jobs`. */
  readonly specifier: string;
  /** The file of ours that it means. */
  readonly target: string | undefined;
}

/** Every source file of ours, infrastructure and tests included. */
export function sourceFiles(): SourceFile[] {
  return globSync("**/*.{ts,mts,mjs,js}", { cwd: ROOT, exclude: (path) => /^(node_modules|\.git|\.roger|\.sst|dist)$/.test(path) })
    .filter((path) => statSync(join(ROOT, path)).isFile())
    .toSorted()
    .map((path) => sourceFile(path, readFileSync(join(ROOT, path), "utf8")));
}

export function sourceFile(path: string, text: string): SourceFile {
  const lines = text.trimEnd().split("\n");
  return { path, room: roomOf(path), lines, code: withoutComments(lines) };
}

/** @returns "" for a file at the root, `package.json` for one */
export function roomOf(path: string): string {
  return path.slice(0, Math.max(0, path.indexOf("/")));
}

/** n.b. rests on the formatter: a block comment starts its own line. */
function withoutComments(lines: readonly string[]): string[] {
  let inBlock = false;
  return lines.map((line) => {
    if (/^\s*\/\*/.test(line)) inBlock = true;
    const comment = inBlock || /^\s*\/\//.test(line);
    if (line.includes("*/")) inBlock = false;
    return comment ? "" : line.replace(/\s\/\/ .*$/, "");
  });
}

const IMPORTS = [/\bfrom "([^"]+)"/, /\bimport\(\s*"([^"]+)"\s*\)/, /^import "([^"]+)"/];

export function importsOf(file: SourceFile): Import[] {
  return file.code.flatMap((line, index) =>
    IMPORTS.flatMap((pattern) => {
      const specifier = pattern.exec(line)?.[1];
      return specifier === undefined ? [] : [{ line: index + 1, specifier, target: resolveOurs(file.path, specifier) }];
    }),
  );
}

function resolveOurs(from: string, specifier: string): string | undefined {
  if (specifier === "#jobs") return "jobs/index.ts";
  if (!specifier.startsWith(".")) return undefined;
  return posix.join(dirname(from), specifier);
}

export interface FunctionSpan {
  readonly line: number;
  readonly length: number;
}

const HEAD = /^(export )?(async )?function\b|=> \{$/;
const METHOD =
  /^(?!(if|for|while|switch|catch|do|else|try|return|with)\b)(?:(?:static|async|private|protected|public|override|get|set) )*[*#\w[\].]+\(.*[({]$/;

/** n.b. rests on the formatter, too: a function ends at the first `}` that is indented like its head. */
export function functionsOf(file: SourceFile): FunctionSpan[] {
  return file.code.flatMap((line, index) => {
    const head = line.trimStart();
    const isCall = head.endsWith("(") && !/^(static|async|private|protected|public|override|export|function)\b/.test(head);
    if (!HEAD.test(head) && (isCall || !METHOD.test(head))) return [];
    const indent = line.slice(0, line.length - head.length);
    const end = file.code.findIndex((other, i) => i > index && other.startsWith(`${indent}}`));
    return end === -1 ? [] : [{ line: index + 1, length: end - index + 1 }];
  });
}

/**
 * Files that the package offers to its users, where they are before they are built, and registries of jobs: the only places where a
 * list of exports has its use.
 */
export function packageEntries(): ReadonlySet<string> {
  const { exports = {}, imports = {} } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const targets = [exports, imports].flatMap((map) => JSON.stringify(map).match(/\.\/[^"]+/g) ?? []);
  const sources = targets.map((target) => posix.normalize(target).replace(/^dist\/(.*)\.js$/, "$1.ts"));
  return new Set([...sources, ...globSync("examples/*/jobs/index.ts", { cwd: ROOT })]);
}

export function exists(path: string): boolean {
  return existsSync(join(ROOT, path));
}
