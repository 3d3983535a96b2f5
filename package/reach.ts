import { existsSync, readFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

export interface Reach {
  /** Files, from the root. */
  readonly files: ReadonlySet<string>;
  /** What is imported by name, and by which file first. */
  readonly names: ReadonlyMap<string, string>;
}

/** n.b. a message may say `from "x"`, too: a statement begins its line, or ends the list of names that it began with. */
const REFERENCES = [
  /^\s*(?:import|export|\})[^"]*\bfrom "([^"]+)"/g,
  /\bimport\(\s*"([^"]+)"/g,
  /^import "([^"]+)"/g,
  /\bnew URL\("([^"]+)", import\.meta\.url\)/g,
];

/**
 * All that is needed to load `entries`: modules they import, now or later, files they start as threads, declarations they name.
 * @throws Error when one of them is not there
 */
export function reach(root: string, entries: readonly string[]): Reach {
  const files = new Set<string>();
  const names = new Map<string, string>();
  const open = [...entries];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    if (!existsSync(join(root, file))) throw new Error(`${file} is needed, and there is no such file`);
    files.add(file);
    for (const specifier of references(readFileSync(join(root, file), "utf8"))) {
      if (!specifier.startsWith(".")) {
        if (!names.has(specifier)) names.set(specifier, file);
        continue;
      }
      const target = posix.join(dirname(file), specifier);
      open.push(file.endsWith(".d.ts") ? target.replace(/\.js$/, ".d.ts") : target);
    }
  }
  return { files, names };
}

function references(text: string): string[] {
  return codeLines(text).flatMap((line) => REFERENCES.flatMap((pattern) => [...line.matchAll(pattern)].map(([, specifier = ""]) => specifier)));
}

/** n.b. rests on what the compiler writes: a comment begins its own line. */
function codeLines(text: string): string[] {
  return text.split("\n").filter((line) => !isComment(line));
}

export function isComment(line: string): boolean {
  return /^\s*(\/\/|\/\*|\*)/.test(line);
}
