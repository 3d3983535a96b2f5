import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = "docs/roger-parity.md";

/** Features and flaws that were found by reading Roger 3.2.1, and by running it. */
const ROWS = [...numbered("R", 70), ...numbered("F", 14)];

interface Row {
  readonly id: string;
  readonly ours: string;
  /** `file > name` or `file > group > name`. */
  readonly tests: readonly string[];
}

interface Title {
  readonly indent: number;
  readonly text: string;
}

function numbered(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i + 1}`);
}

/** Lines of the form `| R1 | Roger | here | tests |`; a test stands between backticks, two of them if its name has one. */
function rowsOf(page: string): Row[] {
  return page.split("\n").flatMap((line) => {
    const [, id, roger, ours, shown] = /^\| ([RF]\d+) \| (.*?) \| (.*?) \| (.*?) \|$/.exec(line) ?? [];
    if (id === undefined || roger === undefined || ours === undefined || shown === undefined) return [];
    const tests = [...shown.matchAll(/(`{1,2})(test\/.+?)\1(?!`)/g)].map(([, , test]) => (test as string).trim());
    return [{ id, ours, tests }];
  });
}

/** A call's name is a text right after `(`, whatever `.each(…)` or `.skipIf(…)` stands before. */
const CALL = /^( *)(?:describe|it)\b(?:\.\w+)*/;

/** n.b. rests on the formatter: what is inside of a group is indented deeper, and a long `.each([` ends on a line of its own. */
function titlesOf(source: string): Title[] {
  const titles: Title[] = [];
  const lines = source.split("\n");
  lines.forEach((line, i) => {
    const call = CALL.exec(line);
    if (call === null) return;
    const indent = (call[1] as string).length;
    const text =
      nameIn(line.slice(call[0].length)) ?? nameIn(line.slice(call[0].length) + lines.slice(i + 1, endOf(lines, i, indent) + 1).join("\n"));
    if (text !== undefined) titles.push({ indent, text });
  });
  return titles;
}

/** The next line that is indented no deeper; it closes the call, or its `.each(`. The name may stand on the line after it. */
function endOf(lines: readonly string[], from: number, indent: number): number {
  const end = lines.findIndex((line, i) => i > from && line.trim() !== "" && !line.startsWith(" ".repeat(indent + 1)));
  return (end === -1 ? lines.length : end) + 1;
}

/** `("a name"`, or `(...)("a name"`. */
function nameIn(call: string): string | undefined {
  const direct = /^\(\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)/.exec(call)?.[1];
  const quoted = direct ?? /\)\(\s*("(?:[^"\\\n]|\\.)*"|`[^`]*`)/.exec(call)?.[1];
  return quoted?.startsWith("`") ? quoted.slice(1, -1) : quoted === undefined ? undefined : (JSON.parse(quoted) as string);
}

/** Whether the file has such a test, within such a group if one is named. */
function has(titles: readonly Title[], path: readonly string[]): boolean {
  const [name, group] = path.toReversed();
  return titles.some(({ text, indent }, i) => {
    if (text !== name) return false;
    if (group === undefined) return true;
    const above: string[] = [];
    let depth = indent;
    for (const title of titles.slice(0, i).toReversed()) {
      if (title.indent >= depth) continue;
      depth = title.indent;
      above.push(title.text);
    }
    return above.includes(group);
  });
}

describe("the comparison with Roger 3.2.1", () => {
  const rows = rowsOf(readFileSync(join(ROOT, PAGE), "utf8"));

  it("has every row, once", () => {
    expect(rows.map(({ id }) => id)).toEqual(ROWS);
  });

  it("names a test for each, or says that it is not built", () => {
    expect(rows.filter(({ tests, ours }) => tests.length === 0 && !ours.startsWith("**Not built")).map(({ id }) => id)).toEqual([]);
  });

  it("names only tests that exist", () => {
    const missing = rows.flatMap(({ id, tests }) =>
      tests.flatMap((test) => {
        const [file, ...path] = test.split(" > ");
        return has(titlesOf(source(file as string)), path) ? [] : [`${id}: ${test}`];
      }),
    );
    expect(missing).toEqual([]);
  });
});

describe("the reader of tests", () => {
  const titles = titlesOf(
    [
      'describe("a group", { timeout: 1 }, () => {',
      '  it("a test", () => {});',
      '  it.each([["x"]])("each %s", () => {});',
      "  it.each([",
      "    [1, ],",
      "    [2, ],",
      '  ])("long each", () => {});',
      "  it.each(told.flatMap((name) => [name]))(",
      '    "each on a line of its own",',
      "    () => {},",
      "  );",
      "  it(`of $" + "{LIMIT} things`, () => {});",
      "});",
      'it("alone, with \\"quotes\\"", () => {});',
    ].join("\n"),
  );

  it("finds names in every form", () => {
    expect(titles.map(({ text }) => text)).toEqual([
      "a group",
      "a test",
      "each %s",
      "long each",
      "each on a line of its own",
      "of $" + "{LIMIT} things",
      'alone, with "quotes"',
    ]);
  });

  it("knows which group a test is in", () => {
    expect(has(titles, ["a group", "a test"])).toBe(true);
    expect(has(titles, ["a test"])).toBe(true);
    expect(has(titles, ["a group", 'alone, with "quotes"'])).toBe(false);
    expect(has(titles, ["a test that is not there"])).toBe(false);
  });
});

const sources = new Map<string, string>();

/** @returns "" for a file that does not exist: then none of its tests does */
function source(path: string): string {
  const known = sources.get(path) ?? read(path);
  sources.set(path, known);
  return known;
}

function read(path: string): string {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
