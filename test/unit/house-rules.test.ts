import { describe, expect, it } from "vitest";
import { importCycles } from "../house/import-cycles.ts";
import { BANS, HOMELESS_NAME, MAX_FILE_LINES, MAX_FUNCTION_LINES, MAY_IMPORT, PACKAGES } from "../house/rules.ts";
import { exists, functionsOf, importsOf, packageEntries, roomOf, sourceFile, sourceFiles } from "../house/source.ts";

/** The rules are exempt from themselves: they have to spell what they forbid. */
const FILES = sourceFiles().filter(({ path }) => !path.startsWith("test/house/") && path !== "test/unit/house-rules.test.ts");

describe("imports", () => {
  it("go one way: core <- store, broker <- client <- functions, worker, cli <- local", () => {
    const wrong = FILES.flatMap((file) =>
      importsOf(file).flatMap(({ line, target }) => {
        const allowed = MAY_IMPORT[file.room];
        if (target === undefined || allowed === undefined) return [];
        const room = roomOf(target);
        if (room === "" || room === file.room || allowed.includes(room)) return [];
        return [
          `${file.path}:${line} imports ${target}: ${file.room} may import ${allowed.join(", ") || "nothing"}, so that it can be read and tested alone`,
        ];
      }),
    );
    expect(wrong).toEqual([]);
  });

  it("of infrastructure reach core/contract only", () => {
    const wrong = FILES.filter(({ room }) => room === "infra").flatMap((file) =>
      importsOf(file)
        .filter(({ target }) => target !== undefined && !target.startsWith("infra/") && !target.startsWith("core/contract/"))
        .map(({ line, target }) => `${file.path}:${line} imports ${target}: infrastructure names code by path, it never runs it`),
    );
    expect(wrong).toEqual([]);
  });

  it("of core reach no cloud and no broker", () => {
    const wrong = FILES.flatMap((file) =>
      importsOf(file)
        .filter(({ specifier, target }) => target === undefined && PACKAGES[file.room]?.test(specifier) === false)
        .map(({ line, specifier }) => `${file.path}:${line} imports ${specifier}: the rules must run without a cloud`),
    );
    expect(wrong).toEqual([]);
  });

  it("point at files that exist, with their suffix", () => {
    const wrong = FILES.flatMap((file) =>
      importsOf(file)
        .filter(({ target }) => target !== undefined && !exists(target))
        .map(({ line, specifier }) => `${file.path}:${line} imports ${specifier}: there is no such file`),
    );
    expect(wrong).toEqual([]);
  });

  it("form no cycle", () => {
    const graph = new Map(FILES.map((file) => [file.path, importsOf(file).flatMap(({ target }) => target ?? [])]));
    expect(importCycles(graph)).toEqual([]);
  });
});

describe("no file has", () => {
  it.each(BANS)("$name outside its place", ({ pattern, allowed, why }) => {
    const wrong = FILES.filter((file) => !allowed(file)).flatMap((file) =>
      // An open end is one in a comment, too.
      (pattern.source.includes("TODO") ? file.lines : file.code).flatMap((line, index) =>
        pattern.test(line) ? [`${file.path}:${index + 1} ${line.trim()}: ${why}`] : [],
      ),
    );
    expect(wrong).toEqual([]);
  });

  it("a name that invites whatever has no home", () => {
    const wrong = FILES.filter(({ path }) => HOMELESS_NAME.test(path)).map(({ path }) => `${path}: name it after what it holds`);
    expect(wrong).toEqual([]);
  });

  it("nothing but the exports of others", () => {
    const entries = packageEntries();
    const wrong = FILES.filter(({ path, code }) => !entries.has(path) && isBarrel(code)).map(
      ({ path }) => `${path}:1 is a barrel: import from where a thing is, so that rooms show what they need and cycles can't hide`,
    );
    expect(wrong).toEqual([]);
  });

  it(`more than ${MAX_FILE_LINES} lines`, () => {
    const wrong = FILES.filter(({ lines }) => lines.length > MAX_FILE_LINES).map(
      ({ path, lines }) => `${path}:${lines.length}: split it by what changes together`,
    );
    expect(wrong).toEqual([]);
  });

  it(`a function of more than ${MAX_FUNCTION_LINES} lines`, () => {
    // A suite is one function by nature: its tests are the units.
    const wrong = FILES.filter(({ room }) => room !== "test").flatMap((file) =>
      functionsOf(file)
        .filter(({ length }) => length > MAX_FUNCTION_LINES)
        .map(({ line, length }) => `${file.path}:${line} is ${length} lines long: a function fits on a screen`),
    );
    expect(wrong).toEqual([]);
  });
});

/** A rule that sees nothing would pass for ever. */
describe("the rules themselves", () => {
  it("see imports of every form, and no comment", () => {
    const file = sourceFile(
      "worker/a.ts",
      [
        'import { b } from "./b.ts";',
        'const c = await import("../core/c.ts");',
        'import "node:fs";',
        '// import { d } from "./d.ts";',
        "import {",
        "  e,",
        '} from "#jobs";',
      ].join("\n"),
    );
    expect(importsOf(file).map(({ line, target }) => [line, target])).toEqual([
      [1, "worker/b.ts"],
      [2, "core/c.ts"],
      [3, undefined],
      [7, "jobs/index.ts"],
    ]);
  });

  it("see a cycle, and each once", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b"]],
    ]);
    expect(importCycles(graph)).toEqual(["b -> c -> b"]);
  });

  it("measure functions of every form", () => {
    const file = sourceFile(
      "core/a.ts",
      [
        "export async function one(",
        "  a: string,",
        "): void {",
        "}",
        "class A {",
        "  private two(): void {",
        "    if (a) {",
        "    }",
        "  }",
        "}",
        "const three = () => {",
        "  call(",
        "    x,",
        "  );",
        "};",
      ].join("\n"),
    );
    expect(functionsOf(file)).toEqual([
      { line: 1, length: 4 },
      { line: 6, length: 4 },
      { line: 11, length: 5 },
    ]);
  });

  it.each([
    ["the machine's clock", "const a = Date.now();"],
    ["the environment", "const a = process.env.A;"],
    ["the terminal", 'console.log("a");'],
    ["a fixed sleep", "await new Promise((resolve) => setTimeout(resolve, 50));"],
    ["a fixed sleep", "await sleep(1_000);"],
    ["a default export", "export default function a() {}"],
    ["an open end", "// TODO: more"],
  ])("know %s: %s", (name, line) => {
    expect(BANS.find((ban) => ban.name === name)?.pattern.test(line)).toBe(true);
  });

  it("know a barrel", () => {
    expect(isBarrel(['export { a } from "./a.ts";', "export type {", "  B,", '} from "./b.ts";'])).toBe(true);
    expect(isBarrel(['export { a } from "./a.ts";', "export const b = 1;"])).toBe(false);
  });
});

function isBarrel(code: readonly string[]): boolean {
  const statements = code.join("\n").trim();
  const others = statements.replace(/export (type )?(\*( as \w+)?|\{[^}]*\}) from "[^"]+";/g, "").trim();
  return statements !== "" && others === "";
}
